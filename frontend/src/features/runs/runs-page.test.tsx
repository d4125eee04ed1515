// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RunRow } from "@/api/types";
import { currentSearch, goBack, openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, noteRequests, part, startServer } from "@/test-server";

const PIPELINE = "0195d39f-11aa-7f00-8000-1d2f3a4b5c6d";
const RUN = part<RunRow>({
  id: "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11",
  pipeline: { id: PIPELINE, name: "Orders" },
  status: "failed",
  trigger: "replay",
  triggered_by: null,
  triggered_by_name: null,
  created_at: "2026-11-29T10:00:00Z",
  started_at: null,
  progress: { written: 1 },
  failure: null,
});
let runs: RunRow[];

const server = startServer(
  http.get("/api/v1/runs", ({ response }) =>
    response(200).json({ results: runs, next: null, previous: null, count: 4_321 }),
  ),
  http.get("/api/v1/pipelines", ({ response }) =>
    response(200).json(part({ results: [{ id: PIPELINE, name: "Orders" }], next: null, count: 1 })),
  ),
  EMPTY_LISTS,
);
const requests = noteRequests(server);
const sent = (path: string) =>
  requests.filter(({ url }) => url.pathname === path).map(({ url }) => Object.fromEntries(url.searchParams));

beforeEach(() => {
  runs = [RUN];
  startApp(["read"]);
});
afterEach(cleanup);

describe("the list of runs", () => {
  it("sends the filter of the URL, whose days are the user's, and counts what matches", async () => {
    await openPage(
      `/runs?q=time&status=failed&pipeline=${PIPELINE}&trigger=api&since=2026-11-01&until=2026-11-02&colour=red`,
    );
    await screen.findByText("4,321");
    const [query] = sent("/api/v1/runs");
    expect(query).toMatchObject({ q: "time", status: "failed", pipeline: PIPELINE, trigger: "api" });
    expect(query!.since).toBe(new Date("2026-11-01T00:00").toISOString());
    expect(query!.until).toBe(new Date("2026-11-03T00:00").toISOString());
    expect(query).not.toHaveProperty("colour");
    expect(screen.getByLabelText<HTMLSelectElement>("Pipeline").selectedOptions[0]!.text).toBe("Orders");
  });

  it("says which records were staged and not published", async () => {
    const progress = part<RunRow["progress"]>({ written: 990 });
    runs = [
      { ...RUN, streams_succeeded: 0, progress },
      { ...RUN, id: PIPELINE, streams_succeeded: 1, progress },
    ];
    await openPage("/runs");
    const cells = (await screen.findAllByRole("row")).slice(1).map((row) => row.children[4]!.textContent);
    expect(cells).toEqual(["990 staged", "990"]);
  });

  it("is downloaded with all runs that match, also those of further pages", async () => {
    URL.createObjectURL = () => "blob:runs";
    URL.revokeObjectURL = () => undefined;
    server.use(
      http.get("/api/v1/runs/export", ({ response }) => response.untyped(new Response("id,pipeline\r\n"))),
    );
    await openPage(`/runs?status=failed&since=2026-11-01&order=created_at`);
    await userEvent.click(await screen.findByRole("button", { name: "Download CSV" }));
    await waitFor(() =>
      expect(sent("/api/v1/runs/export")).toEqual([
        { status: "failed", since: new Date("2026-11-01T00:00").toISOString() },
      ]),
    );
  });

  it("loads the names of the pipelines only when one is to be chosen", async () => {
    await openPage("/runs");
    await screen.findByText("Orders");
    expect(sent("/api/v1/pipelines")).toEqual([]);
    screen.getByLabelText("Pipeline").focus();
    await screen.findByRole("option", { name: "Orders" });
    await userEvent.selectOptions(screen.getByLabelText("Pipeline"), "Orders");
    await waitFor(() => expect(currentSearch()).toEqual({ pipeline: PIPELINE }));
  });

  it("has a search that one Back undoes, however many letters it has, and filters that Back undoes", async () => {
    await openPage("/runs");
    await screen.findByText("Orders");
    await userEvent.selectOptions(screen.getByLabelText("Started by"), "API");
    await waitFor(() => expect(currentSearch()).toEqual({ trigger: "api" }));
    const search = screen.getByLabelText("Search runs");
    await userEvent.type(search, "ti");
    await waitFor(() => expect(currentSearch()).toEqual({ q: "ti", trigger: "api" }));
    await userEvent.type(search, "me");
    await waitFor(() => expect(currentSearch()).toEqual({ q: "time", trigger: "api" }));
    goBack();
    await waitFor(() => expect(currentSearch()).toEqual({ trigger: "api" }));
    await waitFor(() => expect(screen.getByLabelText<HTMLInputElement>("Search runs").value).toBe(""));
    goBack();
    await waitFor(() => expect(currentSearch()).toEqual({}));
  });

  it("says which messages a search reads if it finds nothing", async () => {
    runs = [];
    await openPage("/runs?q=refused");
    expect(await screen.findByText(/only those of the newest failed runs are searched/)).toBeTruthy();
  });

  it("offers to clear the filters if nothing matches", async () => {
    runs = [];
    await openPage("/runs?status=failed");
    await screen.findByRole("heading", { name: "No runs match" });
    await userEvent.click(screen.getAllByRole("button", { name: "Clear filters" }).at(-1)!);
    await screen.findByRole("heading", { name: "No runs yet" });
    expect(currentSearch()).toEqual({});
  });
});

describe("the column Started by", () => {
  const dana = { triggered_by: "dana@example.com", triggered_by_name: "Dana" };
  const nobody = { triggered_by: null, triggered_by_name: null };
  const bot = { triggered_by: "0195@service.invalid", triggered_by_name: "Deployments" };
  const cases: [string, Partial<RunRow>, string, string][] = [
    ["the name of a person, and the address in the tooltip", dana, "Dana", "Dana (dana@example.com)"],
    ["the address of a person without a name", { ...dana, triggered_by_name: "" }, "dana@example.com", "dana@example.com"],
    ["API and whose key it was", { ...dana, trigger: "api" }, "API, Dana", "An API key of Dana (dana@example.com)"],
    ["no made-up address", { ...bot, trigger: "api" }, "API, Deployments", "An API key of the service account Deployments"],
    ["that the account is gone", nobody, "By hand, account unknown", "The account was deleted, or an operator of this installation started the run."],
    ["the schedule", { ...nobody, trigger: "schedule" }, "Schedule", "Schedule"],
    ["that it was retried", { ...nobody, trigger: "retry" }, "Retry", "Retry"],
  ]; // prettier-ignore

  it.each(cases)("says %s", async (_, starter, text, tooltip) => {
    runs = [{ ...RUN, trigger: "manual", ...starter }];
    await openPage("/runs");
    const cell = await screen.findByText(text, { selector: "td *" });
    expect(cell.title).toBe(tooltip);
  });
});
