import { describe, expect, it } from "vitest";
import type { Pipeline } from "@/api/types";
import { changeOf, errorsByField, labelOf, listedStreams, streamKey, textOf, valuesOf } from "./values";

const stream = {
  stream: "public.flights",
  table: "flights",
  sync_mode: "full_refresh",
  cursor_field: null,
  primary_key: [],
  write_mode: "replace",
  transforms: [],
};
const pipeline = {
  name: "Flights",
  description: "",
  domain: null,
  tags: ["daily"],
  timeout_seconds: 3600,
  max_attempts: 3,
  config: {
    source: {
      connector_id: null,
      kind: "postgres",
      config: { host: "db", schemas: ["a"], password: { set: true, last4: "abcd" } },
    },
    streams: [stream, { ...stream, stream: "public.planes", table: "planes" }],
    destination: { connector_id: "c1", kind: "parquet", config: null },
  },
} as unknown as Pipeline;
const change = (values: object) => changeOf(pipeline, { ...valuesOf(pipeline), ...values });

describe("the request of a changed pipeline", () => {
  it("has only what was changed", () => {
    expect(change({})).toEqual({});
    expect(change({ name: " Planes ", tags: "b, a,b" })).toEqual({ name: "Planes", tags: ["b", "a"] });
    expect(change({ on_stream_failure: "stop" })).toEqual({ config: { on_stream_failure: "stop" } });
    expect(change({ timeout_minutes: "1.5" })).toEqual({ timeout_seconds: 90 });
  });

  it("has the complete list of streams after some were added and removed", () => {
    const added = {
      stream: "hr.people",
      table: " people ",
      syncMode: "incremental",
      cursorField: "id",
      primaryKey: ["id"],
      writeMode: "merge",
    };
    const changed = { streams_added: [added], streams_removed: ["public.flights"] };
    expect(change(changed)).toEqual({
      config: {
        streams: [
          { stream: "public.planes" },
          {
            stream: "hr.people",
            table: "people",
            sync_mode: "incremental",
            cursor_field: "id",
            primary_key: ["id"],
            write_mode: "merge",
          },
        ],
      },
    });
    expect(listedStreams({ ...valuesOf(pipeline), ...changed })).toEqual(["public.planes", "hr.people"]);
  });

  it("leaves out an added stream that somebody else has added meanwhile", () => {
    const added = { ...stream, stream: "public.planes" };
    expect(listedStreams({ ...valuesOf(pipeline), streams_added: [added] })).toEqual([
      "public.flights",
      "public.planes",
    ]);
  });

  it("sends all settings of the patterns if one has changed, and null without a pattern", () => {
    const patterns = {
      match: ["public.*", "!*_tmp"],
      sync_mode: "full_refresh",
      cursor_field: null,
      write_mode: null,
      allow_empty: false,
      max_rejected_share: 0,
      contract: "evolve",
      fields: null,
      transforms: [],
    };
    expect(change({ "patterns.match": "public.*\n !*_tmp \n" })).toEqual({
      config: { patterns, new_streams: "add" },
    });
    const saved = { ...pipeline, config: { ...pipeline.config, patterns, new_streams: "ask" } } as Pipeline;
    const changed = (values: object) => changeOf(saved, { ...valuesOf(saved), ...values });
    expect(changed({})).toEqual({});
    expect(changed({ new_streams: "ignore" })).toEqual({ config: { new_streams: "ignore" } });
    const fields = { others: "drop", rules: [{ field: "id" }] };
    expect(changed({ "patterns.fields": fields, "patterns.contract": "freeze" })).toEqual({
      config: { patterns: { ...patterns, fields, contract: "freeze" }, new_streams: "ask" },
    });
    expect(labelOf("patterns.fields", true)).toBe("Fields of the patterns' streams");
    expect(textOf("patterns.fields", fields)).toBe("id: keep\nOther fields: drop");
    expect(changed({ naming: "raw_{table}" })).toEqual({ config: { naming: "raw_{table}" } });
    expect(changed({ "patterns.match": " " })).toEqual({ config: { patterns: null, new_streams: null } });
  });

  it("names all streams, because the list replaces the pipeline's list", () => {
    expect(
      change({
        [streamKey("primary_key", "public.planes")]: "id, tail",
        [streamKey("code", "public.planes")]: " ",
      }),
    ).toEqual({
      config: {
        streams: [
          { stream: "public.flights" },
          { stream: "public.planes", primary_key: ["id", "tail"], transforms: [] },
        ],
      },
    });
  });

  it("has another contract of a stream, which is evolve if the pipeline names none", () => {
    const key = streamKey("contract", "public.flights");
    expect(valuesOf(pipeline)[key]).toBe("evolve");
    expect(change({ [key]: "freeze" }).config!.streams![0]).toEqual({
      stream: "public.flights",
      contract: "freeze",
    });
    expect(labelOf(key, true)).toBe("New and changed columns of public.flights");
  });

  it("has the rules for fields, or null if there are none any more", () => {
    const key = streamKey("fields", "public.flights");
    const fields = { others: "keep", rules: [{ field: "mail", protect: "hash" }] };
    const [flights] = change({ [key]: fields }).config!.streams!;
    expect(flights).toEqual({ stream: "public.flights", fields });
    const withRules = {
      ...pipeline,
      config: { ...pipeline.config, streams: [{ ...stream, fields }] },
    } as unknown as Pipeline;
    const values = { ...valuesOf(withRules), [key]: { others: "keep", rules: [] } };
    expect(changeOf(withRules, values).config!.streams).toEqual([{ stream: "public.flights", fields: null }]);
  });

  it("removes a cleared setting with null, and keeps a secret that is not typed again", () => {
    const config = { host: "db2", password: { set: true, last4: "abcd" } };
    expect(change({ source: { connector_id: null, kind: "postgres", config } })).toEqual({
      config: { source: { connector_id: null, kind: "postgres", config: { host: "db2", schemas: null } } },
    });
  });

  it("names only the connector if one was chosen", () => {
    const destination = { connector_id: "c2", kind: "duckdb", config: null };
    expect(change({ destination })).toEqual({ config: { destination: { connector_id: "c2" } } });
  });
});

it("the server's messages are shown at the fields of their stream", () => {
  const messages = {
    "streams.1.transforms.0.code": "Line 1: no",
    "streams.0.fields.rules.1.name": "Taken by another field",
    "source.config.port": "Too high",
    name: "Taken",
  };
  expect(errorsByField(messages, ["public.flights", "public.planes"])).toEqual({
    "streams/code/public.planes": "Line 1: no",
    "streams/fields/public.flights": "Field 2: Taken by another field",
    "source.config.port": "Too high",
    name: "Taken",
  });
});

it("a field's name has its stream only if there are several", () => {
  expect(labelOf(streamKey("write_mode", "public.planes"), true)).toBe("Write mode of public.planes");
  expect(labelOf(streamKey("write_mode", "public.planes"), false)).toBe("Write mode");
});
