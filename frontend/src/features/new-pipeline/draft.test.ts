import { describe, expect, it } from "vitest";
import {
  tableName,
  withValidWriteMode,
  writeModes,
  type StreamDraft,
} from "@/components/streams/stream-draft";
import { definitionOf, EMPTY_DRAFT, type Draft } from "./draft";

const FLIGHTS: StreamDraft = {
  stream: "flights",
  syncMode: "incremental",
  cursorField: "time_hour",
  primaryKey: ["id"],
  table: "flights",
  writeMode: "merge",
};

describe("a new pipeline's draft", () => {
  it("definitionOf contains the ids of the saved connectors", () => {
    const definition = definitionOf({
      ...EMPTY_DRAFT,
      source: { connectorId: "c1", kind: "postgres", label: "Shop" },
      streams: [FLIGHTS],
      destination: { connectorId: "c2", kind: "parquet", label: "Parquet" },
    });
    expect(definition).toEqual({
      source: { connector_id: "c1" },
      streams: [
        {
          stream: "flights",
          table: "flights",
          sync_mode: "incremental",
          cursor_field: "time_hour",
          primary_key: ["id"],
          write_mode: "merge",
          transforms: [],
          allow_empty: false,
          max_rejected_share: 0,
        },
      ],
      destination: { connector_id: "c2" },
    });
  });

  it("definitionOf contains what happens if a stream fails only if there are several", () => {
    const side = { connectorId: "c1", kind: "postgres", label: "Shop" };
    const draft: Draft = { ...EMPTY_DRAFT, source: side, destination: side, onStreamFailure: "stop" };
    const choiceOf = (streams: StreamDraft[]) => definitionOf({ ...draft, streams }).on_stream_failure;
    expect([choiceOf([FLIGHTS]), choiceOf([FLIGHTS, { ...FLIGHTS, stream: "planes" }])]).toEqual([
      undefined,
      "stop",
    ]);
  });

  it("definitionOf contains every stream, and the transform only if there is one stream", () => {
    const draft = {
      ...EMPTY_DRAFT,
      source: { connectorId: "c1", kind: "postgres", label: "Shop" },
      destination: { connectorId: "c2", kind: "parquet", label: "Parquet" },
      transform: "def transform(record): return record",
    };
    const airports = { ...FLIGHTS, stream: "airports", table: " airfields " };
    const streams = definitionOf({ ...draft, streams: [FLIGHTS, airports] }).streams;
    expect(streams.map(({ stream, table }) => [stream, table])).toEqual([
      ["flights", "flights"],
      ["airports", "airfields"],
    ]);
    expect(streams.flatMap(({ transforms }) => transforms)).toEqual([]);
    expect(definitionOf({ ...draft, streams: [FLIGHTS] }).streams[0]!.transforms).toHaveLength(1);
  });

  it("withValidWriteMode keeps a mode that the destination supports, and else takes another", () => {
    expect(withValidWriteMode(FLIGHTS, ["append", "merge"])).toBe(FLIGHTS);
    expect(withValidWriteMode(FLIGHTS, ["append"]).writeMode).toBe("append");
    expect(withValidWriteMode({ ...FLIGHTS, primaryKey: [] }).writeMode).toBe("append");
  });

  it.each([
    ["flights", "flights"],
    ["public.Flights", "flights"],
    ["sales.orders", "sales_orders"],
    ["Budget 2026!A1:Z900", "budget_2026_a1_z900"],
    ["2026 plan", "_2026_plan"],
    ["Café", "cafe"],
    ["航班", "records"],
  ])("tableName returns for the stream %s the table %s", (stream, table) => {
    expect(tableName(stream)).toBe(table);
  });

  it("writeModes offers merge for incremental streams with a primary key, and replace only for full refresh", () => {
    expect(writeModes("full_refresh", ["id"])).toEqual(["replace", "append"]);
    expect(writeModes("incremental", ["id"])).toEqual(["merge", "append"]);
    expect(writeModes("incremental", [])).toEqual(["append"]);
  });
});
