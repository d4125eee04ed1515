// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { queryKeys } from "@/api/query-keys";
import type { CatalogueEntry, Pipeline } from "@/api/types";
import { queryClient } from "@/query-client";
import { openPage, startApp } from "@/test-app";
import { incrementalStream, NO_STATISTICS, PIPELINE } from "@/test-pipeline";
import { EMPTY_LISTS, http, part, refusal, startServer } from "@/test-server";

const ID = PIPELINE.id;
const saved: Pipeline = {
  ...PIPELINE,
  config: {
    ...PIPELINE.config,
    source: { connector_id: null, kind: "postgres", config: { host: "db" } },
    streams: [
      {
        ...incrementalStream("flights"),
        sync_mode: "full_refresh",
        cursor_field: null,
        write_mode: "replace",
      },
    ],
  },
};

/** What is saved now, and the changes that the page has sent. */
const NO_FIELD = "The first records of orders have no field changed_at. Later ones may have it.";
let pipeline: Pipeline;
let changes: unknown[];
let unchecked: { field: string; message: string }[];

/** A colleague saves a change. The page has not heard of it. */
function saveElsewhere(change: Partial<Pipeline>) {
  pipeline = { ...pipeline, ...change, version: pipeline.version + 1 };
}

const etag = () => `"${pipeline.version}"`;
const kinds = () => part<CatalogueEntry>({ kind: "postgres", name: "PostgreSQL", config_schema: SCHEMA });

type Schedule = NonNullable<Pipeline["schedule"]>;

startServer(
  http.get("/api/v1/catalog/sources", ({ response }) => response(200).json({ results: [kinds()], count: 1 })),
  http.get("/api/v1/catalog/destinations", ({ response }) =>
    response(200).json({ results: [kinds()], count: 1 }),
  ),
  http.get("/api/v1/pipelines/{id}", ({ response }) =>
    response(200).json(pipeline, { headers: { ETag: etag() } }),
  ),
  http.patch("/api/v1/pipelines/{id}", async ({ request, response }) => {
    if (request.headers.get("If-Match") !== etag()) return response.untyped(refusal(412));
    const change = await request.json();
    changes.push(change);
    saveElsewhere(change as Partial<Pipeline>);
    return response(200).json({ ...pipeline, unchecked }, { headers: { ETag: etag() } });
  }),
  http.get("/api/v1/pipelines/{id}/versions", ({ response }) => {
    const newest = { number: pipeline.version, created_by: { id: "u2", name: "Grace" } };
    return response(200).json(part({ results: [newest], next: null, previous: null, count: 1 }));
  }),
  NO_STATISTICS,
  EMPTY_LISTS,
);

const SCHEMA = { properties: { password: { type: "string", format: "password" } } };

beforeEach(() => {
  pipeline = saved;
  changes = [];
  unchecked = [];
  startApp(["read", "pipelines.edit", "pipelines.delete"]);
});
afterEach(cleanup);

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
    saveElsewhere({ description: "Of 2013" });
    await refetch();
    await screen.findByText(/has saved other settings/);
    expect((await field("Name")).value).toBe("My flights");
    const tabs = within(screen.getByRole("navigation", { name: "Pipeline" }));
    await userEvent.click(tabs.getByRole("link", { name: "Runs" }));
    await screen.findByRole("heading", { name: "Recent runs" });
    await userEvent.click(tabs.getByRole("link", { name: /Configuration/ }));
    expect((await field("Name")).value).toBe("My flights");
  });

  it("the notice names the colleague only if the newest version is the colleague's change", async () => {
    await openConfiguration();
    await fill("Name", "My flights");
    const [stream] = saved.config.streams;
    const config = { ...saved.config, streams: [{ ...stream!, primary_key: ["id", "day"] }] };
    saveElsewhere({ config });
    await refetch();
    await screen.findByRole("heading", { name: /^Grace has saved/ });
    pipeline = { ...saved, description: "Of 2013" }; // this makes no version, and may be by anybody
    await refetch();
    await screen.findByRole("heading", { name: /^Somebody else has saved/ });
  });

  it("the form follows what a colleague saves until the user types", async () => {
    await openConfiguration();
    saveElsewhere({ description: "Of 2013" });
    await refetch();
    await waitFor(async () => expect((await field("Description optional")).value).toBe("Of 2013"));
  });

  it("only the changes are sent, with the version that the page shows", async () => {
    await openConfiguration();
    await fill("Name", "My flights");
    await save();
    await waitFor(() => expect(changes).toEqual([{ name: "My flights" }]));
    await waitFor(() => expect(screen.queryByText(/1 change not saved/)).toBeNull());
  });

  it.each(["Save", "Discard"])("the focus is in the field again after the button %s", async (name) => {
    await openConfiguration();
    await fill("Name", "My flights");
    await userEvent.click(screen.getByRole("button", { name }));
    await waitFor(() => expect(screen.queryByText(/1 change not saved/)).toBeNull());
    const input = await field("Name");
    await waitFor(() => expect(document.activeElement).toBe(input));
  });

  it("a save says what could not be compared with the source, until it is closed", async () => {
    unchecked = [{ field: "streams.0.cursor_field", message: NO_FIELD }];
    await openConfiguration();
    await fill("Name", "My flights");
    await save();
    const note = await screen.findByRole("region", { name: "Not checked" });
    expect(note.textContent).toContain(NO_FIELD);
    await userEvent.click(screen.getByRole("button", { name: "Close" }));
    expect(screen.queryByText(NO_FIELD)).toBeNull();
  });

  it("a save after a colleague's shows both values, and saves the chosen one", async () => {
    await openConfiguration();
    await fill("Name", "My flights");
    await fill("Tags optional", "hourly");
    saveElsewhere({ name: "Their flights", description: "Of 2013" }); // the page has not heard of it
    await save();
    const notice = await screen.findByRole("alert");
    expect(within(notice).getByText("My flights")).toBeTruthy();
    expect(within(notice).getByText("Their flights")).toBeTruthy();
    expect(within(notice).getByText(/Description: Of 2013/)).toBeTruthy();
    await userEvent.click(within(notice).getByRole("radio", { name: /Their flights/ }));
    await userEvent.click(within(notice).getByRole("button", { name: "Save the chosen values" }));
    await waitFor(() => expect(changes).toEqual([{ tags: ["hourly"] }]));
  });

  it("a password that was typed is not shown in the comparison", async () => {
    await openConfiguration();
    await userEvent.type(await screen.findByLabelText(/Password/), "open sesame");
    const source = { connector_id: null, kind: "postgres", config: { host: "db2" } };
    saveElsewhere({ config: { ...saved.config, source } });
    await refetch();
    const notice = await screen.findByRole("alert");
    expect(notice.textContent).toContain("db2");
    expect(notice.textContent).not.toContain("open sesame");
  });
});

describe("a viewer", () => {
  it("sees the configuration without a form", async () => {
    startApp(["read"]);
    await openPage(`/pipelines/${ID}/configuration`);
    expect(await screen.findByText("You can view this configuration, but not change it.")).toBeTruthy();
    expect(screen.queryByRole("textbox", { name: "Name" })).toBeNull();
    expect(screen.queryByRole("button", { name: "More actions" })).toBeNull();
  });
});

describe("a pipeline without runs", () => {
  const schedule = part<Schedule>({ interval_seconds: 3600, timezone: "UTC" });
  const firstRun = async () => (await screen.findByText(/Each run will be listed here/)).textContent;

  it("says how the first run begins, to those who may start it", async () => {
    startApp(["read", "pipelines.run"]);
    pipeline = { ...saved, last_run: null, enabled: true, schedule: null };
    await openPage(`/pipelines/${ID}`);
    expect(await firstRun()).toMatch(/^Click Run to start the first one\./);
    pipeline = { ...pipeline, enabled: false };
    await refetch();
    await screen.findByText(/^Enable the pipeline to run it\./);
  });

  it("names no button to a viewer, who has none", async () => {
    startApp(["read"]);
    pipeline = { ...saved, last_run: null, enabled: true, schedule };
    await openPage(`/pipelines/${ID}`);
    expect(await firstRun()).toMatch(/^The schedule starts the first one\./);
    pipeline = { ...pipeline, schedule: null };
    await refetch();
    await screen.findByText(/^The pipeline has no schedule: ask somebody who may run it/);
  });
});
