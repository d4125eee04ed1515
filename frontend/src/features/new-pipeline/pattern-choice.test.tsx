// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StreamInfo } from "@/api/types";
import type { PatternValues } from "@/format/patterns";
import { http, part, startServer } from "@/test-server";
import { definitionOf, EMPTY_DRAFT } from "./draft";
import { StreamStep } from "./stream-step";

const onDone = vi.fn();
let patterns: PatternValues | null;
let asked: unknown[];
let refreshed: number;

const info = (name: string) =>
  part<StreamInfo>({
    name,
    fields: [],
    sync_modes: ["full_refresh", "incremental"],
    cursor_fields: ["id"],
    primary_key: ["id"],
  });

startServer(
  http.post("/api/v1/pipelines/match", async ({ request, response }) => {
    asked.push(await request.json());
    const stream = { stream: "sales.orders", table: "sales_orders", sync_mode: "full_refresh" };
    return response(200).json(part({ ok: true, streams: [stream], total: 2, failure: null }));
  }),
  http.get("/api/v1/connectors/{id}/streams", ({ query, response }) => {
    if (query.get("refresh")) refreshed += 1;
    return response(200).json(
      part({
        ok: true,
        streams: [info("sales.orders"), info("hr.people")],
        found_at: new Date().toISOString(),
        failure: null,
      }),
    );
  }),
);

beforeEach(() => {
  patterns = null;
  asked = [];
  refreshed = 0;
  onDone.mockClear();
});
afterEach(cleanup);

function StepWithState() {
  const [values, setValues] = useState(patterns);
  return (
    <StreamStep
      connectorId="c1"
      patterns={values}
      onChangePatterns={(changed) => {
        patterns = changed;
        setValues(changed);
      }}
      chosen={[]}
      onChange={vi.fn()}
      onDone={onDone}
    />
  );
}

async function show() {
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <StepWithState />
    </QueryClientProvider>,
  );
  await userEvent.click(await screen.findByRole("button", { name: "All that match patterns" }));
}

describe("the choice of streams by patterns", () => {
  it("shows which streams match before it can be continued", async () => {
    await show();
    expect(screen.getByRole<HTMLButtonElement>("button", { name: "Continue" }).ariaDisabled).toBe("true");
    await userEvent.type(screen.getByLabelText("Patterns"), "sales.*");
    await screen.findByText("1 of 2 streams match");
    expect(asked.at(-1)).toMatchObject({ config: { patterns: { match: ["sales.*"] } } });
    await userEvent.click(screen.getByRole("button", { name: "Continue" }));
    expect(onDone).toHaveBeenCalledOnce();
  });

  it("needs a cursor column for incremental reads", async () => {
    await show();
    await userEvent.type(screen.getByLabelText("Patterns"), "*");
    await userEvent.selectOptions(screen.getByLabelText("Sync mode"), "Incremental where possible");
    await userEvent.click(screen.getByRole("button", { name: "Continue" }));
    expect(onDone).not.toHaveBeenCalled();
    await userEvent.type(screen.getByLabelText("Cursor column"), "id");
    await userEvent.click(screen.getByRole("button", { name: "Continue" }));
    expect(onDone).toHaveBeenCalledOnce();
  });

  it("makes a definition without a list of streams", async () => {
    await show();
    await userEvent.type(screen.getByLabelText("Patterns"), "sales.*\n!*_tmp");
    await userEvent.selectOptions(screen.getByLabelText("New streams"), "Ask first");
    await userEvent.click(screen.getByText("Drop, rename or protect fields"));
    await userEvent.click(screen.getByRole("button", { name: "Add a field" }));
    const rule = within(screen.getByRole("group", { name: "Field 1" }));
    await userEvent.selectOptions(rule.getByLabelText("Values"), "Hash");
    await userEvent.type(rule.getByLabelText("Field"), "mail");
    const side = { connectorId: "c", kind: "postgres", label: "Shop" };
    expect(definitionOf({ ...EMPTY_DRAFT, source: side, destination: side, patterns })).toEqual({
      source: { connector_id: "c" },
      destination: { connector_id: "c" },
      streams: [],
      patterns: {
        match: ["sales.*", "!*_tmp"],
        sync_mode: "full_refresh",
        cursor_field: null,
        write_mode: null,
        allow_empty: false,
        max_rejected_share: 0,
        contract: "evolve",
        fields: { others: "keep", rules: [{ field: "mail", protect: "hash" }] },
        transforms: [],
      },
      new_streams: "ask",
      naming: null,
    });
  });

  it("asks the source again when the user refreshes the list", async () => {
    await show();
    await userEvent.click(screen.getByRole("button", { name: "Refresh" }));
    await vi.waitFor(() => expect(refreshed).toBe(1));
  });
});
