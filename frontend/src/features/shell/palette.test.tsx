// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PipelineRow, Run } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, noteRequests, part, refusal, startServer } from "@/test-server";
import { openOverlay } from "./overlays";
import { foundCommands, matchingCommands, runCommand, searchText } from "./commands";

const ORDERS = part<PipelineRow>({ id: "p1", name: "Orders", domain: null });

describe("the palette finds", () => {
  it("pages and actions by words in any order", () => {
    expect(matchingCommands("log audit").map(({ label }) => label)).toEqual(["Settings: Audit log"]);
    expect(matchingCommands("create").map(({ label }) => label)).toEqual([
      "New pipeline",
      "New connector",
      "New custom source",
    ]);
    expect(matchingCommands("zebra")).toEqual([]);
  });

  it("a run by its id", () => {
    const id = "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11";
    expect(runCommand(` ${id} `)[0]?.to).toBe(`/runs/${id}`);
    expect(runCommand("orders")).toEqual([]);
  });

  it("the run of a pipeline first after the word run, and never for a viewer", () => {
    const labels = (text: string, mayRun: boolean) =>
      foundCommands(text, { pipelines: [ORDERS] }, () => mayRun).map(({ group }) => group);
    expect(searchText("run orders")).toBe("orders");
    expect(labels("run orders", true)).toEqual(["Run", "Pipelines"]);
    expect(labels("orders", true)).toEqual(["Pipelines", "Run"]);
    expect(labels("run orders", false)).toEqual(["Pipelines"]);
  });
});

describe("with the keyboard", () => {
  const server = startServer(
    http.post("/api/v1/pipelines/{id}/run", ({ response }) => response(201).json(part<Run>({ id: "r1" }))),
    http.get("/api/v1/pipelines", ({ query, response }) => {
      const results = query.get("q") === "orders" ? [ORDERS] : [];
      return response(200).json({ results, next: null, previous: null, count: results.length });
    }),
    EMPTY_LISTS,
  );
  const requests = noteRequests(server);
  const posted = () => requests.filter(({ method }) => method === "POST").map(({ url }) => url.pathname);
  beforeEach(() => startApp(["read", "pipelines.run"]));
  afterEach(() => {
    cleanup();
    openOverlay(null);
  });

  it("Ctrl+K, a name and Enter run a pipeline", async () => {
    await openPage("/settings/account");
    await screen.findByRole("navigation", { name: "Main" });
    await userEvent.keyboard("{Control>}k{/Control}");
    await userEvent.type(await screen.findByRole("combobox", { name: "Search everything" }), "run orders");
    await screen.findByRole("option", { name: /Run Orders/ });
    await userEvent.keyboard("{Enter}");
    await waitFor(() => expect(posted()).toContain("/api/v1/pipelines/p1/run"));
    expect(screen.queryByRole("combobox", { name: "Search everything" })).toBeNull();
  });

  it("a search says that nothing has the name only when the server has answered", async () => {
    let answer = () => {};
    const answered = new Promise<void>((resolve) => (answer = resolve));
    server.use(
      http.get("/api/v1/pipelines", async ({ response }) => {
        await answered;
        return response(200).json({ results: [], next: null, previous: null, count: 0 });
      }),
    );
    await openPage("/settings/account");
    await screen.findByRole("navigation", { name: "Main" });
    await userEvent.keyboard("{Control>}k{/Control}");
    await userEvent.type(await screen.findByRole("combobox", { name: "Search everything" }), "zebra");
    await waitFor(() => expect(requests.some(({ url }) => url.search.includes("q=zebra"))).toBe(true));
    expect(screen.getByRole("option").textContent).toBe("Searching…");
    answer();
    expect(await screen.findByRole("option", { name: /^Nothing has this name/ })).toBeTruthy();
  });

  it("a search says that the server has not answered it", async () => {
    server.use(http.get("/api/v1/pipelines", ({ response }) => response.untyped(refusal(500))));
    await openPage("/settings/account");
    await screen.findByRole("navigation", { name: "Main" });
    await userEvent.keyboard("{Control>}k{/Control}");
    await userEvent.type(await screen.findByRole("combobox", { name: "Search everything" }), "zebra");
    expect(await screen.findByRole("option", { name: /^The server did not answer the search/ })).toBeTruthy();
  });

  it("? lists the keys", async () => {
    await openPage("/settings/account");
    await screen.findByRole("navigation", { name: "Main" });
    await userEvent.keyboard("?");
    expect(await screen.findByRole("dialog", { name: "Keys" })).toBeTruthy();
  });
});
