// @vitest-environment jsdom
import { cleanup, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openPage, startApp } from "@/test-app";

const ID = "0b6a7f0e-0000-4000-8000-000000000001";
const pipeline = {
  id: ID,
  name: "Shop",
  domain: null,
  tags: [],
  enabled: true,
  version: 1,
  source_kind: "postgres",
  destination_kind: "parquet",
  stream: "*",
  stream_count: 1,
  schedule: null,
  last_run: null,
  warnings: [],
  description: "",
  timeout_seconds: 3600,
  max_attempts: 3,
  config: {
    source: { connector_id: null, kind: "postgres", config: {} },
    streams: [],
    patterns: { match: ["*"], sync_mode: "full_refresh" },
    destination: { connector_id: null, kind: "parquet", config: {} },
  },
};
const state = {
  stream: "orders",
  sync_mode: "incremental",
  status: "succeeded",
  state: { after: 7 },
  batches: 1,
  written: 30,
  rejected: 0,
  skipped: 0,
  updated_at: "2026-01-01T00:00:00Z",
};

function answer(streams: object[]) {
  return ({ url }: Request) => {
    const { pathname } = new URL(url);
    if (pathname === `/api/v1/pipelines/${ID}`)
      return Promise.resolve(Response.json(pipeline, { headers: { ETag: '"1"' } }));
    if (pathname.endsWith("/state")) return Promise.resolve(Response.json({ streams }));
    return Promise.resolve(Response.json({ results: [], streams: [], next: null }));
  };
}

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

describe("the state of a pipeline whose streams are chosen by patterns", () => {
  it("is shown for each stream that has run", async () => {
    startApp(["read", "state.edit"], answer([state]));
    await openPage(`/pipelines/${ID}/state`);
    await screen.findByRole("heading", { name: "orders" });
    expect(screen.getByRole("button", { name: /Edit position ?of orders/ })).toBeDefined();
  });

  it("says that nothing has been chosen before the first run", async () => {
    startApp(["read", "state.edit"], answer([]));
    await openPage(`/pipelines/${ID}/state`);
    await screen.findByText(/patterns have chosen no stream yet/);
  });
});
