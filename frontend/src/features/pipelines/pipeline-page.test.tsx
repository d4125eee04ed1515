// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
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
  stream_count: 1,
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

/** Answers as a server on which a colleague may save meanwhile. */
class Server {
  pipeline = structuredClone(saved);
  readonly changes: unknown[] = [];

  readonly answer = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/v1/catalog/sources" || pathname === "/api/v1/catalog/destinations") {
      return Response.json({ results: [{ kind: "postgres", name: "PostgreSQL", config_schema: SCHEMA }] });
    }
    if (pathname !== `/api/v1/pipelines/${ID}`) return Response.json({ results: [], runs: [], next: null });
    if (request.method === "PATCH") {
      if (request.headers.get("If-Match") !== this.etag) {
        return Response.json(
          { title: "Changed", detail: "It has changed.", code: "changed" },
          { status: 412 },
        );
      }
      const change = (await request.json()) as object;
      this.changes.push(change);
      this.save(change);
    }
    return Response.json(this.pipeline, { headers: { ETag: this.etag } });
  };

  save(change: object) {
    this.pipeline = { ...this.pipeline, ...change, version: this.pipeline.version + 1 };
  }

  private get etag() {
    return `"${this.pipeline.version}"`;
  }
}

const SCHEMA = { properties: { password: { type: "string", format: "password" } } };
let server: Server;

beforeEach(() => {
  server = new Server();
  startApp(["read", "pipelines.edit", "pipelines.delete"], server.answer);
});
afterEach(async () => {
  cleanup();
  vi.unstubAllGlobals();
});

const refetch = () => queryClient.invalidateQueries({ queryKey: queryKeys.pipelines.all });
const field = (name: string) => screen.findByRole<HTMLInputElement>("textbox", { name });
const save = () => userEvent.click(screen.getByRole("button", { name: "Save" }));

async function openConfiguration() {
  await openPage(`/pipelines/${ID}/configuration`);
  await field("Name");
}

async function fill(name: string, text: string) {
  await userEvent.clear(await field(name));
  await userEvent.type(await field(name), text);
}

describe("while a user edits a pipeline", () => {
  it("what was typed stays when a colleague saves, and in another tab of the page", async () => {
    await openConfiguration();
    await fill("Name", "My flights");
    server.save({ description: "Of 2013" });
    await refetch();
    await screen.findByText(/has saved other settings/);
    expect((await field("Name")).value).toBe("My flights");
    const tabs = within(screen.getByRole("navigation", { name: "Pipeline" }));
    await userEvent.click(tabs.getByRole("link", { name: "Runs" }));
    await screen.findByRole("heading", { name: "Recent runs" });
    await userEvent.click(tabs.getByRole("link", { name: /Configuration/ }));
    expect((await field("Name")).value).toBe("My flights");
  });

  it("the form follows what a colleague saves until the user types", async () => {
    await openConfiguration();
    server.save({ description: "Of 2013" });
    await refetch();
    await waitFor(async () => expect((await field("Description optional")).value).toBe("Of 2013"));
  });

  it("only the changes are sent, with the version that the page shows", async () => {
    await openConfiguration();
    await fill("Name", "My flights");
    await save();
    await waitFor(() => expect(server.changes).toEqual([{ name: "My flights" }]));
    await waitFor(() => expect(screen.queryByText(/1 change not saved/)).toBeNull());
  });

  it("a save after a colleague's shows both values, and saves the chosen one", async () => {
    await openConfiguration();
    await fill("Name", "My flights");
    await fill("Tags optional", "hourly");
    server.save({ name: "Their flights", description: "Of 2013" }); // the page has not heard of it
    await save();
    const notice = await screen.findByRole("alert");
    expect(within(notice).getByText("My flights")).toBeTruthy();
    expect(within(notice).getByText("Their flights")).toBeTruthy();
    expect(within(notice).getByText(/Description: Of 2013/)).toBeTruthy();
    await userEvent.click(within(notice).getByRole("radio", { name: /Their flights/ }));
    await userEvent.click(within(notice).getByRole("button", { name: "Save the chosen values" }));
    await waitFor(() => expect(server.changes).toEqual([{ tags: ["hourly"] }]));
  });

  it("a password that was typed is not shown in the comparison", async () => {
    await openConfiguration();
    await userEvent.type(await screen.findByLabelText(/Password/), "open sesame");
    const source = { connector_id: null, kind: "postgres", config: { host: "db2" } };
    server.save({ config: { ...saved.config, source } });
    await refetch();
    const notice = await screen.findByRole("alert");
    expect(notice.textContent).toContain("db2");
    expect(notice.textContent).not.toContain("open sesame");
  });
});

describe("a viewer", () => {
  it("sees the configuration without a form", async () => {
    startApp(["read"], server.answer);
    await openPage(`/pipelines/${ID}/configuration`);
    expect(await screen.findByText("You can view this configuration, but not change it.")).toBeTruthy();
    expect(screen.queryByRole("textbox", { name: "Name" })).toBeNull();
    expect(screen.queryByRole("button", { name: "More actions" })).toBeNull();
  });
});
