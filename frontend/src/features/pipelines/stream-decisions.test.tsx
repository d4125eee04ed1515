// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Pipeline } from "@/api/types";
import { http, part, startServer } from "@/test-server";
import { StreamDecisions } from "./stream-decisions";

const pipeline = part<Pipeline>({ id: "p1", config: { patterns: { match: ["*"] }, streams: [] } });
let waiting: string[];
let missing: string[];
let sent: unknown[];
let asked: number;

startServer(
  http.get("/api/v1/pipelines/{id}/streams", ({ query, response }) => {
    asked += 1;
    const isWaiting = query.get("state") === "waiting";
    const names = isWaiting ? waiting : missing;
    const results = names.map((stream) => ({ stream, table: "", missing: !isWaiting }));
    return response(200).json(part({ results, count: names.length, next_offset: null }));
  }),
  http.post("/api/v1/pipelines/{id}/streams/decide", async ({ request, response }) => {
    sent.push(await request.json());
    waiting = [];
    return response(200).json(pipeline);
  }),
);

beforeEach(() => {
  waiting = ["sales.fresh", "sales.new"];
  missing = [];
  sent = [];
  asked = 0;
});
afterEach(cleanup);

function show({ canEdit = true, shown = pipeline } = {}) {
  render(
    <QueryClientProvider client={new QueryClient()}>
      <StreamDecisions pipeline={shown} canEdit={canEdit} />
    </QueryClientProvider>,
  );
}

describe("the streams that wait for a decision", () => {
  it("are added one by one, and disappear", async () => {
    show();
    await screen.findByRole("heading", { name: /^2.new streams in the source$/ });
    await userEvent.click(screen.getByRole("button", { name: "Add sales.new" }));
    expect(sent).toEqual([{ decision: "add", streams: ["sales.new"] }]);
    await vi.waitFor(() => expect(screen.queryByRole("heading")).toBeNull());
  });

  it("are ignored all at once", async () => {
    show();
    await userEvent.click(await screen.findByRole("button", { name: "Ignore all" }));
    expect(sent).toEqual([{ decision: "ignore", streams: ["sales.fresh", "sales.new"] }]);
  });

  it("are shown to viewers without buttons", async () => {
    show({ canEdit: false });
    await screen.findByText("sales.new");
    expect(screen.queryByRole("button")).toBeNull();
  });

  it("that are gone from the source can only be ignored", async () => {
    waiting = [];
    missing = ["sales.old"];
    show();
    await screen.findByRole("heading", { name: /^1.stream gone from the source$/ });
    expect(screen.getAllByRole("button").map((each) => each.textContent)).toEqual(["Ignore"]);
  });

  it("do not exist without patterns", () => {
    show({ shown: { ...pipeline, config: { ...pipeline.config, patterns: undefined } } });
    expect(asked).toBe(0);
  });
});
