// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { queryKeys } from "@/api/query-keys";
import { http, part, startServer } from "@/test-server";
import { EMPTY_DRAFT } from "./draft";
import { ReviewStep } from "./review-step";

const NAMES = ["2 streams of Shop to Lake", "2 streams of Shop to Lake 2"];

const NO_FIELD = "The first records of orders have no field changed_at. Later ones may have it.";

const server = startServer(
  http.post("/api/v1/pipelines/validate", ({ response }) =>
    response(200).json({ valid: true, errors: [], unchecked: [] }),
  ),
  http.get("/api/v1/pipelines", ({ query, response }) => {
    const results = NAMES.filter((name) => name.includes(query.get("q") ?? "")).map((name) => ({ name }));
    return response(200).json(part({ results, next: null }));
  }),
);
afterEach(cleanup);

const connector = (label: string) => ({ connectorId: label, kind: "postgres", label });
const stream = (name: string) =>
  part<(typeof EMPTY_DRAFT.streams)[number]>({ stream: name, table: name, syncMode: "full_refresh" });

async function openReview(client: QueryClient) {
  const draft = {
    ...EMPTY_DRAFT,
    source: connector("Shop"),
    streams: [stream("orders"), stream("items")],
    destination: connector("Lake"),
  };
  render(
    <QueryClientProvider client={client}>
      <ReviewStep draft={draft} saving={false} error={null} errors={{}} onChange={() => 0} onDone={() => 0} />
    </QueryClientProvider>,
  );
  const field = screen.getByLabelText<HTMLInputElement>(/^Name/);
  await waitFor(() => expect(field.value).toBe("2 streams of Shop to Lake 3"));
}

it("suggests a name that no pipeline has", async () => {
  await openReview(new QueryClient());
});

it("keeps the suggestion apart from the lists whose pages a started run changes", async () => {
  const client = new QueryClient();
  await openReview(client);
  const names = queryKeys.pipelines.similarNames("2 streams of Shop to Lake");
  expect(names.slice(0, 1)).toEqual(queryKeys.pipelines.all);
  expect(client.getQueryData(names)).toBeDefined();
  expect(client.getQueriesData({ queryKey: queryKeys.pipelines.lists })).toEqual([]);
});

it("says what could not be compared with the source, and lets the pipeline be created", async () => {
  let body: unknown;
  server.use(
    http.post("/api/v1/pipelines/validate", async ({ request, response }) => {
      body = await request.json();
      const unchecked = [{ field: "streams.0.cursor_field", message: NO_FIELD }];
      return response(200).json({ valid: true, errors: [], unchecked });
    }),
  );
  await openReview(new QueryClient());
  const note = await screen.findByRole("region", { name: "Not checked" });
  expect(note.textContent).toContain(NO_FIELD);
  expect(screen.queryByRole("alert")).toBeNull();
  expect(screen.getByRole("button", { name: "Create pipeline" }).getAttribute("aria-disabled")).toBeNull();
  expect(body).toMatchObject({ config: { streams: [{ stream: "orders" }, { stream: "items" }] } });
});

it("shows no note if everything was compared", async () => {
  const client = new QueryClient();
  await openReview(client);
  await waitFor(() => expect(client.isFetching()).toBe(0));
  expect(screen.queryByText("Not checked")).toBeNull();
});
