import { describe, expect, it } from "vitest";
import type { StreamInfo } from "@/api/types";
import {
  addStreams,
  errorsByStream,
  problemsOf,
  removeStreams,
  schemasOf,
  streamsInWords,
  withSyncMode,
} from "./stream-choice";

function stream(name: string, changes: Partial<StreamInfo> = {}): StreamInfo {
  return {
    name,
    fields: [],
    sync_modes: ["full_refresh", "incremental"],
    cursor_fields: ["updated_at"],
    primary_key: ["id"],
    ...changes,
  } as StreamInfo;
}

describe("the choice of streams", () => {
  it("gives each stream a table that no other stream has", () => {
    const chosen = addStreams([], [stream("a.b"), stream("a_b"), stream("A/B")]);
    expect(chosen.map(({ table }) => table)).toEqual(["a_b", "a_b_2", "a_b_3"]);
  });

  it("keeps the settings of a stream that is added again", () => {
    const [orders] = addStreams([], [stream("orders")]);
    const changed = { ...orders!, table: "sales" };
    expect(addStreams([changed], [stream("orders"), stream("items")])[0]).toBe(changed);
  });

  it("removes streams by name", () => {
    const chosen = addStreams([], [stream("orders"), stream("items")]);
    expect(removeStreams(chosen, [stream("orders")]).map(({ stream: name }) => name)).toEqual(["items"]);
  });

  it("reads a stream incrementally that cannot be read in full", () => {
    const [events] = addStreams([], [stream("events", { sync_modes: ["incremental"] })]);
    expect(events).toMatchObject({
      syncMode: "incremental",
      cursorField: "updated_at",
      writeMode: "merge",
    });
  });

  it("sets a cursor and a write mode that fit the sync mode", () => {
    const info = stream("orders");
    const [orders] = addStreams([], [info]);
    const incremental = withSyncMode(orders!, info, "incremental");
    expect(incremental).toMatchObject({ cursorField: "updated_at", writeMode: "merge" });
    expect(withSyncMode(incremental, info, "full_refresh")).toEqual(orders);
  });

  it("does not set a sync mode that the stream does not support", () => {
    const info = stream("orders", { sync_modes: ["full_refresh"] });
    const [orders] = addStreams([], [info]);
    expect(withSyncMode(orders!, info, "incremental")).toBe(orders);
  });

  it("offers the schemas only if they divide the streams into groups", () => {
    const streams = [stream("sales.orders"), stream("sales.items"), stream("hr.people")];
    expect(schemasOf(streams)).toEqual([
      ["hr", 1],
      ["sales", 2],
    ]);
    const odd = [
      stream("Odd Schema.Order Details"),
      stream("Odd Schema.select"),
      stream('"a.b"'),
      stream("c"),
    ];
    expect(schemasOf(odd)).toEqual([
      ["", 2],
      ["Odd Schema", 2],
    ]);
    expect(schemasOf([stream("orders"), stream("items")])).toEqual([]);
    expect(schemasOf([stream("orders.csv"), stream("items.csv")])).toEqual([]);
  });

  it("refuses an empty table, and a table that two streams have", () => {
    const [a, b, c] = addStreams([], [stream("a"), stream("b"), stream("c")]);
    expect(problemsOf([a!, { ...b!, table: "A" }, { ...c!, table: " " }])).toEqual({
      a: { table: "Another stream of this pipeline has this table." },
      b: { table: "Another stream of this pipeline has this table." },
      c: { table: "This field is required." },
    });
    expect(problemsOf([a!, b!, c!])).toEqual({});
  });

  it("finds the stream of each of the server's messages", () => {
    const submitted = addStreams([], [stream("a"), stream("b")]);
    const errors = {
      "streams.1.table": "Taken.",
      "streams.1.primary_key.0": "Empty.",
      "streams.7.table": "?",
      name: "Taken.",
    };
    expect(errorsByStream(errors, submitted)).toEqual({ b: { table: "Taken.", primary_key: "Empty." } });
  });

  it("describes one stream by its name, and several by their number", () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    const chosen = addStreams(
      [],
      names.map((name) => stream(name)),
    );
    expect(streamsInWords(chosen.slice(0, 1))).toBe("a");
    expect(streamsInWords(chosen.slice(0, 2))).toBe("2\u00a0streams: a, b");
    expect(streamsInWords(chosen)).toBe("6\u00a0streams: a, b, c, d, e and more");
  });
});
