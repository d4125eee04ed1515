// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { http, part, startServer } from "@/test-server";
import { EMPTY_DRAFT } from "./draft";
import { ReviewStep } from "./review-step";

const NAMES = ["2 streams of Shop to Lake", "2 streams of Shop to Lake 2"];

startServer(
  http.get("/api/v1/pipelines", ({ query, response }) => {
    const results = NAMES.filter((name) => name.includes(query.get("q") ?? "")).map((name) => ({ name }));
    return response(200).json(part({ results, next: null }));
  }),
);
afterEach(cleanup);

const connector = (label: string) => ({ connectorId: label, kind: "postgres", label });
const stream = (name: string) =>
  part<(typeof EMPTY_DRAFT.streams)[number]>({ stream: name, table: name, syncMode: "full_refresh" });

it("suggests a name that no pipeline has", async () => {
  const draft = {
    ...EMPTY_DRAFT,
    source: connector("Shop"),
    streams: [stream("orders"), stream("items")],
    destination: connector("Lake"),
  };
  render(
    <QueryClientProvider client={new QueryClient()}>
      <ReviewStep draft={draft} saving={false} error={null} errors={{}} onChange={() => 0} onDone={() => 0} />
    </QueryClientProvider>,
  );
  const field = screen.getByLabelText<HTMLInputElement>(/^Name/);
  await waitFor(() => expect(field.value).toBe("2 streams of Shop to Lake 3"));
});
