// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Pipeline } from "@/api/types";
import type { Values } from "@/format/merge";
import { http, part, startServer, type Part } from "@/test-server";
import { StreamSelection } from "./stream-selection";
import { changeOf, streamKey, valuesOf, type StreamValues } from "./values";

const stream = (name: string): Part<Pipeline["config"]["streams"][number]> => ({
  stream: name,
  table: name,
  sync_mode: "full_refresh",
  cursor_field: null,
  primary_key: ["id"],
  write_mode: "replace",
  transforms: [],
});
const pipeline = part<Pipeline>({
  name: "Shop",
  description: "",
  domain: null,
  tags: [],
  timeout_seconds: 60,
  max_attempts: 1,
  config: {
    source: { connector_id: "c1", kind: "postgres", config: null },
    streams: [stream("items"), stream("orders")],
    destination: { connector_id: "c2", kind: "parquet", config: null },
  },
});
let values: Values;

startServer(
  http.get("/api/v1/connectors/{id}/streams", ({ response }) => {
    const streams = ["customers", "items", "orders"].map((name) => ({
      name,
      fields: [{ name: "id", type: "integer" }],
      sync_modes: ["full_refresh" as const, "incremental" as const],
      cursor_fields: ["id"],
      primary_key: ["id"],
    }));
    return response(200).json(part({ ok: true, streams, found_at: null, failure: null }));
  }),
);

beforeEach(() => {
  values = valuesOf(pipeline);
});
afterEach(cleanup);

function SelectionWithState({ errors }: { errors: Record<string, string> }) {
  const [current, setCurrent] = useState(values);
  function change(changes: Values) {
    values = { ...current, ...changes };
    setCurrent(values);
  }
  return (
    <StreamSelection
      values={current}
      errors={errors}
      connectorId="c1"
      onChange={change}
      onChangeStream={(name, changes) =>
        change(
          Object.fromEntries(
            Object.entries(changes).map(([field, value]) => [
              streamKey(field as keyof StreamValues, name),
              value,
            ]),
          ),
        )
      }
    />
  );
}

async function show(errors: Record<string, string> = {}) {
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <SelectionWithState errors={errors} />
    </QueryClientProvider>,
  );
  await userEvent.click(screen.getByText("Add or remove streams"));
  await screen.findByRole("table");
}

const box = (name: string) => screen.getByRole<HTMLInputElement>("checkbox", { name });
const sentStreams = () => changeOf(pipeline, values).config?.streams;

describe("the table in which streams are added to a pipeline and removed from it", () => {
  it("adds a stream with its own settings", async () => {
    await show();
    expect([box("customers"), box("items")].map(({ checked }) => checked)).toEqual([false, true]);
    await userEvent.click(box("customers"));
    await userEvent.click(screen.getByRole("button", { name: "Edit customers" }));
    const settings = screen.getByRole("region", { name: "Settings of customers" });
    await userEvent.selectOptions(within(settings).getByLabelText("Sync mode"), "Incremental");
    expect(sentStreams()).toEqual([
      { stream: "items" },
      { stream: "orders" },
      {
        stream: "customers",
        table: "customers",
        sync_mode: "incremental",
        cursor_field: "id",
        primary_key: ["id"],
        write_mode: "merge",
      },
    ]);
  });

  it("leaves the table of an added stream to the naming rule", async () => {
    values = { ...values, naming: "raw_{table}" };
    await show();
    await userEvent.click(box("customers"));
    expect(screen.getByRole("table").textContent).toContain("to raw_{table}");
    await userEvent.click(screen.getByRole("button", { name: "Edit customers" }));
    const settings = within(screen.getByRole("region", { name: "Settings of customers" }));
    await userEvent.selectOptions(settings.getByLabelText("New and changed columns"), "Fail the run");
    expect(sentStreams()!.at(-1)).toMatchObject({ stream: "customers", table: null, contract: "freeze" });
    await userEvent.type(settings.getByLabelText(/Destination table/), "mine");
    expect(sentStreams()!.at(-1)).toMatchObject({ table: "mine" });
  });

  it("removes a stream, and takes that back without a change", async () => {
    await show();
    await userEvent.click(box("orders"));
    expect(sentStreams()).toEqual([{ stream: "items" }]);
    await userEvent.click(box("orders"));
    expect(changeOf(pipeline, values)).toEqual({});
  });

  it("changes the settings of a saved stream", async () => {
    await show();
    await userEvent.click(screen.getByRole("button", { name: "Edit items" }));
    const table = screen.getByLabelText("Destination table");
    await userEvent.clear(table);
    await userEvent.type(table, "things");
    expect(sentStreams()).toEqual([{ stream: "items", table: "things" }, { stream: "orders" }]);
  });

  it("shows the server's message at the row of its stream", async () => {
    await show({ "streams/table/orders": "Another pipeline writes this table." });
    expect(screen.getByText("Another pipeline writes this table.")).toBeDefined();
  });
});
