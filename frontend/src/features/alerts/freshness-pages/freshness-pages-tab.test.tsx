// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FreshnessPage, PipelineRow, PublicContents } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, noteRequests, part, refusal, startServer } from "@/test-server";
import { badgeMarkdown } from "./badge-markdown";

const [ID, ORDERS, VISITS, ENTRY] = [1, 2, 3, 4].map((n) => `0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a1${n}`) as [
  string,
  string,
  string,
  string,
];
const TIME = "2026-03-01T06:00:00Z";
const URL = "https://drover.example.com/api/v1/public/freshness/secret";
const PAGE: FreshnessPage = {
  id: ID,
  title: "Our data",
  enabled: true,
  incident_days: 30,
  url: URL,
  badge_url: `${URL}/badge.svg`,
  pipelines: [
    {
      id: ENTRY,
      pipeline_id: ORDERS,
      pipeline_name: "orders_to_warehouse",
      name: "Orders",
      badge_url: `${URL}/${ENTRY}/badge.svg`,
    },
  ],
  created_at: TIME,
  updated_at: TIME,
};
const PREVIEW: PublicContents = {
  title: "Our data",
  freshness: "late",
  pipelines: [{ id: ENTRY, name: "Orders", freshness: "late", updated_at: TIME }],
  incidents: [
    { pipeline_id: ENTRY, pipeline_name: "Orders", kind: "late", opened_at: TIME, closed_at: null },
  ],
  incident_days: 30,
};

let pages: FreshnessPage[];

const server = startServer(
  http.get("/api/v1/freshness-pages", ({ response }) =>
    response(200).json({ results: pages, next: null, previous: null, count: pages.length }),
  ),
  http.post("/api/v1/freshness-pages", ({ response }) => {
    pages = [{ ...PAGE, enabled: false }];
    return response(201).json(pages[0]!);
  }),
  http.get("/api/v1/freshness-pages/{id}", ({ response }) =>
    response(200).json(pages[0]!, { headers: { ETag: '"7"' } }),
  ),
  http.patch("/api/v1/freshness-pages/{id}", async ({ request, response }) => {
    const change = (await request.json()) as Partial<FreshnessPage>;
    pages = [{ ...pages[0]!, enabled: change.enabled ?? pages[0]!.enabled }];
    return response(200).json(pages[0]!);
  }),
  http.delete("/api/v1/freshness-pages/{id}", ({ response }) => {
    pages = [];
    return response(204).empty();
  }),
  http.get("/api/v1/freshness-pages/{id}/preview", ({ response }) => response(200).json(PREVIEW)),
  http.post("/api/v1/freshness-pages/{id}/renew-link", ({ response }) => {
    pages = [{ ...pages[0]!, url: `${URL}-renewed` }];
    return response(200).json(pages[0]!);
  }),
  http.get("/api/v1/pipelines", ({ response }) =>
    response(200).json({
      results: [
        part<PipelineRow>({ id: ORDERS, name: "orders_to_warehouse" }),
        part<PipelineRow>({ id: VISITS, name: "visits" }),
      ],
      next: null,
      previous: null,
      count: 2,
    }),
  ),
  EMPTY_LISTS,
);
const requests = noteRequests(server);

const sentBy = (method: string) => requests.filter((request) => request.method === method);

beforeEach(() => {
  pages = [PAGE];
});
afterEach(cleanup);

async function openTab() {
  startApp(["read", "alerts.edit", "settings.edit"]);
  await openPage("/alerts/freshness-pages");
  return within(await screen.findByRole("region", { name: "Freshness pages" }));
}

async function addPipeline(form: ReturnType<typeof within>, name: string) {
  const select = form.getByLabelText("Add a pipeline");
  await form.findByRole("option", { name });
  await userEvent.selectOptions(select, name);
  await userEvent.click(form.getByRole("button", { name: "Add" }));
}

describe("the freshness pages of an organization", () => {
  it("are explained while there are none, and created with the chosen pipelines", async () => {
    pages = [];
    const section = await openTab();
    expect(await section.findByText("No freshness pages yet")).toBeTruthy();
    await userEvent.click(section.getByRole("button", { name: "Create a page" }));
    const form = within(section.getByRole("form", { name: "New freshness page" }));
    expect(document.activeElement).toBe(form.getByLabelText("Title"));
    await userEvent.type(form.getByLabelText("Title"), "Our data");
    await addPipeline(form, "orders_to_warehouse");
    await userEvent.type(await form.findByLabelText("Public name of orders_to_warehouse"), "Orders");
    await addPipeline(form, "visits");
    await userEvent.click(await form.findByRole("button", { name: "Up: visits" }));
    await userEvent.click(form.getByRole("button", { name: "Create page" }));
    expect(await section.findByText("Nobody can read it. Enable it to publish it.")).toBeTruthy();
    expect(sentBy("POST").at(-1)!.body).toEqual({
      title: "Our data",
      incident_days: 30,
      pipelines: [
        { pipeline_id: VISITS, name: "" },
        { pipeline_id: ORDERS, name: "Orders" },
      ],
    });
  });

  it("are changed with the version that the form shows", async () => {
    const section = await openTab();
    await userEvent.click(await section.findByRole("button", { name: /^Edit/ }));
    const form = within(await section.findByRole("form", { name: "Edit Our data" }));
    await addPipeline(form, "visits");
    await userEvent.click(await form.findByRole("button", { name: /^Remove ?orders/ }));
    await userEvent.click(form.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(sentBy("PATCH")).toHaveLength(1));
    const [{ headers, body }] = sentBy("PATCH") as [(typeof requests)[number]];
    expect(headers.get("If-Match")).toBe('"7"');
    expect(body).toMatchObject({ pipelines: [{ pipeline_id: VISITS, name: "" }] });
  });

  it("show what the server says about a pipeline beside it", async () => {
    server.use(
      http.patch("/api/v1/freshness-pages/{id}", ({ response }) =>
        response.untyped(
          refusal(422, {
            errors: [{ field: "pipelines.0.pipeline_id", message: "It was deleted.", code: "unknown" }],
          }),
        ),
      ),
    );
    const section = await openTab();
    await userEvent.click(await section.findByRole("button", { name: /^Edit/ }));
    const form = within(await section.findByRole("form", { name: "Edit Our data" }));
    await userEvent.type(form.getByLabelText("Title"), "!");
    await userEvent.click(form.getByRole("button", { name: "Save" }));
    expect(await form.findByText("It was deleted.")).toBeTruthy();
  });

  it("offer no pipeline that is on the page", async () => {
    const section = await openTab();
    await userEvent.click(await section.findByRole("button", { name: /^Edit/ }));
    const form = within(await section.findByRole("form", { name: "Edit Our data" }));
    expect(await form.findByRole("option", { name: "visits" })).toBeTruthy();
    expect(form.queryByRole("option", { name: "orders_to_warehouse" })).toBeNull();
  });

  it("can be previewed", async () => {
    const section = await openTab();
    await userEvent.click(await section.findByRole("button", { name: /^Preview/ }));
    const preview = within(await section.findByRole("region", { name: "Preview of Our data" }));
    const pipelines = within(await preview.findByRole("list", { name: "Pipelines" }));
    expect(pipelines.getByText("Orders")).toBeTruthy();
    expect(pipelines.getByText("Late")).toBeTruthy();
    expect(preview.getByRole("list", { name: "Incidents" }).textContent).toMatch(
      /^Orders: Late, began .* still open$/,
    );
  });

  it("give their link and their badge", async () => {
    const user = userEvent.setup(); // with a clipboard
    const section = await openTab();
    const link = await section.findByRole("link", { name: URL });
    expect(link.getAttribute("href")).toBe(URL);
    await user.click(section.getByRole("button", { name: "Copy link" }));
    expect(await navigator.clipboard.readText()).toBe(URL);
    await user.click(section.getByRole("button", { name: "Copy badge as Markdown" }));
    expect(await navigator.clipboard.readText()).toBe(`[![Freshness of Our data](${URL}/badge.svg)](${URL})`);
    const badge = section.getByRole("img", { name: "Badge of Our data" });
    expect(badge.getAttribute("src")).toBe("/api/v1/public/freshness/secret/badge.svg");
  });

  it("are hidden, get a new link, and are deleted by their title", async () => {
    const section = await openTab();
    await userEvent.click(await section.findByRole("button", { name: /^Renew link/ }));
    await userEvent.click(await screen.findByRole("button", { name: "Renew" }));
    expect(await section.findByRole("link", { name: `${URL}-renewed` })).toBeTruthy();
    await userEvent.click(section.getByRole("switch"));
    expect(await section.findByText("Nobody can read it. Enable it to publish it.")).toBeTruthy();
    expect(section.queryByRole("link")).toBeNull();
    await userEvent.click(section.getByRole("button", { name: /^Delete/ }));
    const dialog = within(await screen.findByRole("dialog"));
    await userEvent.type(dialog.getByRole("textbox"), "Our data");
    await userEvent.click(dialog.getByRole("button", { name: "Delete" }));
    expect(await section.findByText("No freshness pages yet")).toBeTruthy();
  });

  it("are not offered without the permission", async () => {
    startApp(["read", "alerts.edit"]);
    await openPage("/alerts/freshness-pages");
    expect(await screen.findByText(/Ask an admin of your organization/)).toBeTruthy();
    expect(screen.queryByRole("link", { name: "Freshness pages" })).toBeNull();
  });
});

it("escapes a name in Markdown", () => {
  expect(badgeMarkdown("a](evil) `b`", "B", "U")).toBe("[![Freshness of a\\](evil) \\`b\\`](B)](U)");
});
