// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http, HttpResponse } from "msw";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Permission } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { startServer } from "@/test-server";

const RUN = "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11";
const PIPELINE = "0b6a7f0e-0000-4000-8000-000000000001";
const CONNECTOR = "0b6a7f0e-0000-4000-8000-000000000002";
const SECRET = { set: true, last4: "9f2c" };

const stream = (name: string, sync_mode = "incremental") => ({
  stream: name,
  table: name,
  sync_mode,
  cursor_field: "id",
  primary_key: [],
  write_mode: "append",
  transforms: [],
});
const KINDS = ["postgres", "rest"].map((kind) => ({
  kind,
  name: kind,
  description: "",
  write_modes: ["append"],
  secret_paths: ["password", "auth.token"],
  config_schema: {
    type: "object",
    properties: {
      host: { type: "string" },
      ...Object.fromEntries(["page_size", "timeout", "proxy"].map((name) => [name, { type: "integer" }])),
      password: { type: "string", writeOnly: true },
      auth: {
        anyOf: [
          {
            title: "Bearer",
            type: "object",
            properties: { type: { const: "bearer" }, token: { type: "string", writeOnly: true } },
          },
          { type: "null" },
        ],
      },
    },
  },
}));

let failure: object;
let streams: object[];
let source: object;

function answer(request: Request): Response {
  const { pathname } = new URL(request.url);
  const paths: Record<string, object> = {
    [`/api/v1/runs/${RUN}`]: run(),
    [`/api/v1/pipelines/${PIPELINE}`]: pipeline(),
    [`/api/v1/connectors/${CONNECTOR}`]: connector,
    "/api/v1/catalog/sources": { results: KINDS },
    "/api/v1/catalog/destinations": { results: KINDS },
    "/api/v1/catalog/sources/rest": KINDS[1]!,
    [`/api/v1/runs/${RUN}/logs`]: {
      offset: 0,
      lines: [],
      next_offset: null,
      total: 0,
      complete: true,
      note: "",
    },
  };
  const found = paths[pathname] ?? { results: [], next: null, count: 0, streams: [], moments: [], runs: [] };
  return HttpResponse.json(found, { headers: { ETag: '"1"' } });
}

const run = () => ({
  id: RUN,
  pipeline: { id: PIPELINE, name: "Orders" },
  status: "failed",
  kind: "ordinary",
  trigger: "manual",
  created_at: "2026-03-01T06:00:00Z",
  attempt: 1,
  max_attempts: 1,
  progress: { read: 0, written: 0, rejected: 0, skipped: 0, bytes: 0 },
  streams_total: streams.length,
  streams_failed: 1,
  streams_succeeded: 0,
  attempts: [],
  failure: { evidence: [], retryable: false, next_step: "Correct it.", sides: [], setting: null, ...failure },
});
const pipeline = () => ({
  id: PIPELINE,
  name: "Orders",
  description: "",
  domain: null,
  tags: [],
  enabled: true,
  version: 1,
  source_kind: "postgres",
  destination_kind: "postgres",
  stream: "public.orders",
  stream_count: streams.length,
  next_run_at: null,
  last_run: null,
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-01T00:00:00Z",
  schedule: null,
  timeout_seconds: 3600,
  max_attempts: 3,
  warnings: [],
  config: { source, streams, destination: { connector_id: null, kind: "postgres", config: {} } },
});
const connector = {
  id: CONNECTOR,
  name: "Shop API",
  role: "source",
  kind: "rest",
  description: "",
  domain: null,
  check_ok: null,
  checked_at: null,
  pipeline_count: 1,
  config: { auth: { type: "bearer", token: SECRET } },
  version: 3,
};

startServer(http.all("*/api/v1/*", ({ request }) => answer(request)));

beforeEach(() => {
  streams = [stream("public.orders")];
  source = { connector_id: null, kind: "postgres", config: { password: SECRET } };
  failure = {
    class: "configuration",
    message: "public.orders has no column 'updated'",
    setting: "cursor_field",
  };
});
afterEach(cleanup);

async function open(permissions: Permission[] = ["read", "pipelines.edit", "connectors.edit"]) {
  startApp(permissions);
  await openPage(`/runs/${RUN}`);
}

async function follow(name: RegExp) {
  await userEvent.click(await screen.findByRole("link", { name }));
}

describe("the button of a failure", () => {
  it("leads to the cursor column of the stream, which has the focus", async () => {
    await open();
    await follow(/^Change the cursor column$/);
    const field = await screen.findByLabelText(/^Cursor column/);
    await waitFor(() => expect(document.activeElement).toBe(field));
  });

  it("opens the stream that the message names, if there are several", async () => {
    streams = [stream("public.order"), stream("public.orders"), stream("public.items")];
    await open();
    await follow(/^Change the cursor column$/);
    const field = await screen.findByLabelText(/^Cursor column/);
    expect(field.closest<HTMLElement>("[data-stream-settings]")!.dataset.streamSettings).toBe(
      "public.orders",
    );
    await waitFor(() => expect(document.activeElement).toBe(field));
  });

  it("leads to the time limit of the pipeline", async () => {
    failure = { class: "timeout", message: "The run took too long", setting: "timeout_seconds" };
    await open();
    await follow(/^Change the time limit$/);
    const field = await screen.findByLabelText(/^Time limit/);
    await waitFor(() => expect(document.activeElement).toBe(field));
  });

  it("leads to the secret of the chosen option on the page of the connector", async () => {
    source = { connector_id: CONNECTOR, kind: "rest", config: null };
    failure = { class: "authentication", message: "HTTP 401", sides: ["source"] };
    await open();
    await follow(/^Change the token of Shop API$/);
    await waitFor(() => expect(document.activeElement?.textContent).toBe("Replace"));
    expect(document.activeElement!.closest<HTMLElement>("[data-setting]")!.dataset.setting).toBe(
      "auth.token",
    );
  });

  it("leads to the password of a source that only this pipeline has", async () => {
    failure = { class: "authentication", message: "wrong password", sides: ["source"] };
    await open();
    await follow(/^Change the password of the source$/);
    await waitFor(() => expect(document.activeElement?.textContent).toBe("Replace"));
  });

  it("leads a viewer to the configuration, which has no fields", async () => {
    await open(["read"]);
    const link = await screen.findByRole("link", { name: "Open the configuration" });
    expect(link.getAttribute("href")).toBe(`/pipelines/${PIPELINE}/configuration`);
  });
});
