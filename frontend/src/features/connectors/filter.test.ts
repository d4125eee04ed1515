import { expect, it } from "vitest";
import type { ConnectorRow } from "@/api/types";
import { connectorsAsCsv, parseConnectorFilter } from "./filter";

it("the filter in the URL keeps a text and a role", () => {
  expect(parseConnectorFilter({ q: 2024, role: "source" })).toEqual({ q: "2024", role: "source" });
});

it("unknown parameters and wrong values do not break the list", () => {
  expect(parseConnectorFilter({ q: ["a"], role: "both", page: 3 })).toEqual({});
});

it("the connectors are downloaded with the result of their last test", () => {
  const row = {
    name: "=Shop", role: "source", kind: "postgres", domain: null, pipeline_count: 2, check_ok: false,
    checked_at: "2026-03-01T06:00:00Z", updated_at: "2026-02-01T06:00:00Z",
  } as ConnectorRow; // prettier-ignore
  expect(connectorsAsCsv([row]).split("\r\n")[1]).toBe(
    "'=Shop,source,postgres,,2,failed,2026-03-01T06:00:00Z,2026-02-01T06:00:00Z",
  );
});
