// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useEffect, useState } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StreamInfo } from "@/api/types";
import { streamConfig, type StreamDraft } from "@/components/streams/stream-draft";
import type { FieldErrors } from "@/components/streams/stream-choice";
import { http, part, startServer } from "@/test-server";
import { StreamStep } from "./stream-step";

const NAMES = [
  "hr.people",
  "hr.teams",
  "sales.items",
  "sales.orders",
  "sales.shops",
  "sales.taxes",
  "sales.units",
];
const FULL_REFRESH: StreamInfo["sync_modes"] = ["full_refresh"];
const BOTH_MODES: StreamInfo["sync_modes"] = ["full_refresh", "incremental"];

let names: string[];
let chosen: StreamDraft[];
const onDone = vi.fn();
const onChangePatterns = vi.fn();

function fullRefreshOf(stream: string): StreamDraft {
  return {
    stream,
    syncMode: "full_refresh",
    cursorField: null,
    primaryKey: [],
    table: stream,
    writeMode: "replace",
  };
}

startServer(
  http.get("/api/v1/connectors/{id}/streams", ({ response }) => {
    const streams = names.map((name) => ({
      name,
      fields: [{ name: "id", type: "integer" }],
      sync_modes: name === "hr.teams" ? FULL_REFRESH : BOTH_MODES,
      cursor_fields: name === "hr.teams" ? [] : ["id", "updated_at"],
      primary_key: ["id"],
    }));
    return response(200).json(part({ ok: true, streams, failure: null }));
  }),
);

beforeEach(() => {
  names = NAMES;
  chosen = [];
  onDone.mockClear();
});
afterEach(cleanup);

function StepWithState({ errors }: { errors?: Record<string, FieldErrors> }) {
  const [streams, setStreams] = useState(chosen);
  useEffect(() => {
    chosen = streams;
  }, [streams]);
  return (
    <StreamStep
      patterns={null}
      onChangePatterns={onChangePatterns}
      connectorId="c1"
      chosen={streams}
      errors={errors}
      onChange={setStreams}
      onDone={onDone}
    />
  );
}

async function show(errors?: Record<string, FieldErrors>) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={client}>
      <StepWithState errors={errors} />
    </QueryClientProvider>,
  );
  await screen.findByRole("table");
}

const box = (name: string | RegExp) => screen.getByRole<HTMLInputElement>("checkbox", { name });
const press = (name: string | RegExp) => userEvent.click(screen.getByRole("button", { name }));
const chosenNames = () => chosen.map(({ stream }) => stream);
const shownNames = () =>
  screen
    .getAllByRole("checkbox")
    .slice(1)
    .map((each) => (each as HTMLInputElement).labels![0]!.textContent);

describe("the step of the streams", () => {
  it("shows the settings of an only stream, and no field for its table", async () => {
    await show();
    await userEvent.click(screen.getByText("sales.orders"));
    await userEvent.selectOptions(screen.getByLabelText("Sync mode"), "Incremental");
    await userEvent.selectOptions(screen.getByLabelText("Cursor column"), "updated_at");
    expect(screen.queryByLabelText("Destination table")).toBeNull();
    await press("Continue");
    expect(onDone).toHaveBeenCalledOnce();
    expect(chosen).toEqual([
      {
        stream: "sales.orders",
        syncMode: "incremental",
        cursorField: "updated_at",
        primaryKey: ["id"],
        table: "sales_orders",
        writeMode: "merge",
      },
    ]);
  });

  it("does not continue without a stream", async () => {
    await show();
    await press("Continue");
    expect(onDone).not.toHaveBeenCalled();
  });

  it("selects all streams that the search and the schema show, and no others", async () => {
    await show();
    await userEvent.selectOptions(screen.getByLabelText("Schema"), "hr (2)");
    await userEvent.click(box("Select all 2 shown streams"));
    expect(chosenNames()).toEqual(["hr.people", "hr.teams"]);
    await userEvent.selectOptions(screen.getByLabelText("Schema"), "All schemas");
    expect(box(/Select all 7/).indeterminate).toBe(true);
    await userEvent.type(screen.getByRole("searchbox"), "ORDERS");
    await userEvent.click(box("Select all 1 shown streams"));
    expect(chosenNames()).toEqual(["hr.people", "hr.teams", "sales.orders"]);
    expect(screen.getByRole("status").textContent).toMatch(/^3 of 7.streams selected$/);
  });

  it("lets the user edit each of several streams in its row", async () => {
    await show();
    await userEvent.click(box("sales.orders"));
    await userEvent.click(box("sales.items"));
    await press("Edit sales.items");
    const settings = within(screen.getByRole("region", { name: "Settings of sales.items" }));
    await userEvent.clear(settings.getByLabelText("Destination table"));
    await userEvent.type(settings.getByLabelText("Destination table"), "positions");
    await userEvent.clear(settings.getByLabelText(/^Primary key/));
    await userEvent.type(settings.getByLabelText(/^Primary key/), "shop, id");
    await userEvent.selectOptions(settings.getByLabelText("Write mode"), "Append");
    await press("Continue");
    expect(onDone).toHaveBeenCalledOnce();
    expect(chosen[1]).toMatchObject({
      table: "positions",
      primaryKey: ["shop", "id"],
      writeMode: "append",
    });
    expect(chosen[0]).toMatchObject({ table: "sales_orders", writeMode: "replace" });
  });

  it("sets the sync mode of all selected streams that support it", async () => {
    await show();
    await userEvent.click(box("hr.people"));
    await userEvent.click(box("hr.teams"));
    await press("Incremental where possible");
    expect(chosen.map(({ syncMode }) => syncMode)).toEqual(["incremental", "full_refresh"]);
  });

  it("does not continue while two streams have the same table", async () => {
    await show();
    await userEvent.click(box("sales.orders"));
    await userEvent.click(box("sales.items"));
    await press("Edit sales.items");
    const field = screen.getByLabelText("Destination table");
    await userEvent.clear(field);
    await userEvent.type(field, "sales_orders");
    expect(screen.getAllByText("Another stream of this pipeline has this table.")).toHaveLength(2);
    await press("Continue");
    expect(onDone).not.toHaveBeenCalled();
  });

  it("shows first the streams with an error of the server, with the message at its field", async () => {
    chosen = ["sales.orders", "sales.items"].map(fullRefreshOf);
    await show({ "sales.items": { table: "Another pipeline writes to this table." } });
    expect(shownNames()).toEqual(["sales.items"]);
    const field = screen.getByLabelText("Destination table");
    expect(field.getAttribute("aria-invalid")).toBe("true");
    expect(document.getElementById(field.getAttribute("aria-describedby")!)!.textContent).toBe(
      "Another pipeline writes to this table.",
    );
    await press(/^All 7$/);
    expect(shownNames()).toEqual(NAMES);
  });

  it("shows all of a few streams, because they have no filter", async () => {
    names = ["sales.items", "sales.orders"];
    chosen = names.map(fullRefreshOf);
    await show({ "sales.items": { table: "Another pipeline writes to this table." } });
    expect(shownNames()).toEqual(names);
    expect(screen.getByLabelText("Destination table").getAttribute("aria-invalid")).toBe("true");
  });

  it("keeps a row in view that is no longer selected, until the filter is chosen again", async () => {
    await show();
    await userEvent.click(box("sales.orders"));
    await userEvent.click(box("sales.items"));
    await press(/^Selected 2$/);
    await userEvent.click(box("sales.items"));
    expect(shownNames()).toEqual(["sales.items", "sales.orders"]);
    await press(/^Selected 1$/);
    expect(shownNames()).toEqual(["sales.orders"]);
  });

  it("has one row in the tab order, and the arrow keys move between the rows", async () => {
    await show();
    box("hr.people").focus();
    await userEvent.keyboard("{ArrowDown}{ArrowDown} ");
    expect(document.activeElement).toBe(box("sales.items"));
    expect(chosenNames()).toEqual(["sales.items"]);
    await userEvent.keyboard("{End}");
    expect(document.activeElement).toBe(box("sales.units"));
    expect(screen.getAllByRole("checkbox").map((each) => (each as HTMLElement).tabIndex)).toEqual([
      0, -1, -1, -1, -1, -1, -1, 0,
    ]);
  });

  it("sends the rules for the fields of a stream, and what happens to new columns", async () => {
    await show();
    await userEvent.click(box("sales.items"));
    await userEvent.selectOptions(screen.getByLabelText("New and changed columns"), "Leave out new columns");
    await userEvent.click(screen.getByRole("button", { name: "Choose, rename or protect fields" }));
    await userEvent.click(screen.getByRole("button", { name: "Add a field" }));
    const rule = within(screen.getByRole("group", { name: "Field 1" }));
    await userEvent.selectOptions(rule.getByLabelText("Values"), "Drop");
    await userEvent.type(rule.getByLabelText("Field"), "id");
    expect(streamConfig(chosen[0]!)).toMatchObject({
      stream: "sales.items",
      contract: "drop_columns",
      fields: { others: "keep", rules: [{ field: "id", drop: true }] },
    });
  });

  it("leaves out a chosen stream that the source no longer has", async () => {
    chosen = ["sales.gone", "sales.items"].map(fullRefreshOf);
    await show();
    await press("Continue");
    expect(chosenNames()).toEqual(["sales.items"]);
  });
});
