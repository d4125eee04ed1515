// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ConnectorRow, StreamInfo } from "@/api/types";
import { goTo, openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, part, startServer } from "@/test-server";

const CONNECTOR = part<ConnectorRow>({
  id: "c1",
  role: "source",
  kind: "postgres",
  name: "Shop",
  description: "",
  domain: null,
});
const STREAM: StreamInfo = {
  name: "orders",
  fields: [],
  sync_modes: ["full_refresh"],
  cursor_fields: [],
  primary_key: [],
};

let mode: "guided" | "model";

startServer(
  http.get("/api/v1/agent/status", ({ response }) => response(200).json(part({ mode }))),
  http.get("/api/v1/connectors", ({ query, response }) => {
    const results = query.get("role") === "source" ? [CONNECTOR] : [];
    return response(200).json({ results, next: null, previous: null, count: results.length });
  }),
  http.get("/api/v1/connectors/{id}/streams", ({ response }) =>
    response(200).json({ ok: true, streams: [STREAM], found_at: null, failure: null }),
  ),
  EMPTY_LISTS,
);

beforeEach(() => {
  sessionStorage.clear();
  mode = "guided";
  startApp(["read", "pipelines.edit"]);
});
afterEach(cleanup);

async function chooseSource() {
  await openPage("/pipelines/new");
  await userEvent.click(await screen.findByText("Shop"));
  await userEvent.click(await screen.findByRole("button", { name: "Continue" }));
  await screen.findByText("orders");
}

const stepOf = (name: string) => within(screen.getByRole("heading", { name: new RegExp(name) }));

describe("the agent", () => {
  it("is offered to describe the pipeline to, if a language model answers", async () => {
    mode = "model";
    startApp(["read", "pipelines.edit", "agent.use"]);
    await openPage("/pipelines/new");
    await userEvent.click(await screen.findByRole("button", { name: "Describe it to the agent" }));
    expect(await screen.findByRole("textbox", { name: "Message to the agent" })).toBeTruthy();
  });

  it.each(["guided mode", "a user who may not use it"])("is not offered in %s", async (who) => {
    mode = who === "guided mode" ? "guided" : "model";
    startApp(["read", "pipelines.edit", ...(who === "guided mode" ? (["agent.use"] as const) : [])]);
    await openPage("/pipelines/new");
    await screen.findByText("Shop");
    expect(screen.queryByRole("button", { name: "Describe it to the agent" })).toBeNull();
  });
});

describe("a pipeline that is half made", () => {
  it("is still there after the user has left the page and come back", async () => {
    await chooseSource();
    await goTo("/pipelines");
    await screen.findByRole("heading", { name: /^Pipelines/ });
    await goTo("/pipelines/new");
    await screen.findByText("orders");
    expect(stepOf("Source").getByText("Shop")).toBeTruthy();
  });

  it("is still there after a reload, and can be given up", async () => {
    await chooseSource();
    cleanup();
    await openPage("/pipelines/new");
    await screen.findByText("orders");
    await userEvent.click(screen.getByRole("button", { name: "Start over" }));
    expect(await screen.findByText("Shop")).toBeTruthy();
    expect(sessionStorage.getItem("drover.kept.new-pipeline")).toBeNull();
  });

  it("is not shown to another user", async () => {
    await chooseSource();
    const stored = sessionStorage.getItem("drover.kept.new-pipeline")!;
    cleanup();
    sessionStorage.setItem("drover.kept.new-pipeline", stored.replace("u1", "u2"));
    await openPage("/pipelines/new");
    await screen.findByText("Shop");
    expect(screen.queryByText("orders")).toBeNull();
  });
});
