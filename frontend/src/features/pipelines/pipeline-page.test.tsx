// @vitest-environment jsdom
import { cleanup, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { queryKeys } from "@/api/query-keys";
import { queryClient } from "@/query-client";
import { openPage, startApp } from "@/test-app";

const ID = "0b6a7f0e-0000-4000-8000-000000000001";
const saved = {
  id: ID,
  name: "Flights",
  description: "",
  domain: null,
  tags: [],
  enabled: true,
  version: 1,
  source_kind: "postgres",
  destination_kind: "parquet",
  stream: "flights",
  schedule: null,
  next_run_at: null,
  last_run: null,
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-01T00:00:00Z",
  timeout_seconds: 3600,
  max_attempts: 3,
  warnings: [],
  config: {
    source: { connector_id: null, kind: "postgres", config: { host: "db" } },
    streams: [
      {
        stream: "flights",
        table: "flights",
        sync_mode: "full_refresh",
        cursor_field: null,
        primary_key: [],
        write_mode: "replace",
        transforms: [],
      },
    ],
    destination: { connector_id: null, kind: "parquet", config: {} },
  },
};
let pipeline = structuredClone(saved);
beforeEach(() => {
  pipeline = structuredClone(saved);
  startApp(["read", "pipelines.edit"], async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === `/api/v1/pipelines/${ID}`)
      return Response.json(pipeline, { headers: { ETag: `"${pipeline.version}"` } });
    return Response.json({ results: [], next: null, previous: null });
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

describe("while a user edits a pipeline", () => {
  it("what was typed stays when a colleague saves another version", async () => {
    await openPage(`/pipelines/${ID}`);
    await userEvent.click(await screen.findByRole("button", { name: "Edit limits" }));
    const field = screen.getByLabelText(/Rejected records allowed/);
    await userEvent.clear(field);
    await userEvent.type(field, "7");
    pipeline.version = 2;
    await queryClient.invalidateQueries({ queryKey: queryKeys.pipelines.all });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((screen.getByLabelText(/Rejected records allowed/) as HTMLInputElement).value).toBe("7");
  });
});
