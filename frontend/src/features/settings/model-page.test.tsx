// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import axe from "axe-core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AgentStatus, ModelCheckAnswer, OwnModel } from "@/api/types";
import { http, logIn, noteRequests, refusal, startServer } from "@/test-server";
import { ModelPage } from "./model-page";

const OWN: OwnModel = {
  provider: "openai_compatible",
  model: "qwen3",
  key: { set: true, last4: "cdef" },
  base_url: "https://models.example.com/v1",
  temperature: null,
  monthly_tokens: 1000,
  values_allowed: true,
  updated_at: "2026-11-22T09:00:00Z",
};
const STATUS: AgentStatus = {
  mode: "model",
  label: "openai_compatible:qwen3",
  is_own: true,
  values_allowed: true,
  warning: "",
  used_tokens: 120,
  limit_tokens: 1000,
};
const ANSWER: ModelCheckAnswer = {
  ok: false,
  model: "openai_compatible:qwen3",
  checks: [
    row("reachable", "ok", "The server answers."),
    row("tool_calls", "failed", "The model writes its tool calls as text.", "Choose another model."),
    row("call_ids", "skipped", "Not checked, because an earlier check has failed."),
    row("two_at_once", "warning", "The server refuses a second request."),
  ],
  input_tokens: 9000,
  output_tokens: 120,
};
const CHECK_PATH = "/api/v1/org/model/check";

let own: OwnModel | null;
let status: AgentStatus;

function row(
  name: ModelCheckAnswer["checks"][number]["name"],
  state: ModelCheckAnswer["checks"][number]["state"],
  message: string,
  next_step = "",
): ModelCheckAnswer["checks"][number] {
  return { name, title: name, state, message, next_step, ms: 10, tokens: 5 };
}

function show() {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  return render(
    <QueryClientProvider client={client}>
      <ModelPage />
    </QueryClientProvider>,
  );
}

const server = startServer(
  http.get("/api/v1/agent/status", ({ response }) => response(200).json(status)),
  http.get("/api/v1/org/model", ({ response }) => (own ? response(200).json(own) : response(204).empty())),
  http.put("/api/v1/org/model", ({ response }) => response(200).json(OWN)),
  http.post(CHECK_PATH, ({ response }) => response(200).json(ANSWER)),
);
const requests = noteRequests(server);

/** The requests that change or test something. */
function sent() {
  return requests
    .filter(({ method }) => method !== "GET")
    .map(({ method, url, body }) => ({ method, path: url.pathname, body }));
}

beforeEach(() => {
  own = OWN;
  status = STATUS;
  logIn(["settings.edit", "agent.use"]);
  HTMLDialogElement.prototype.close ??= () => undefined; // jsdom has no dialogs
});
afterEach(cleanup);

describe("the test of a language model", () => {
  it("clears its results when a field is changed", async () => {
    show();
    await userEvent.click(await screen.findByRole("button", { name: "Test" }));
    await screen.findByRole("list", { name: "Results of the test" });
    await userEvent.type(screen.getByRole("textbox", { name: "Model" }), "2");
    expect(screen.queryByRole("list", { name: "Results of the test" })).toBeNull();
    await userEvent.click(screen.getByRole("button", { name: "Test" }));
    await screen.findByRole("list", { name: "Results of the test" });
    await userEvent.selectOptions(screen.getByRole("combobox", { name: "Provider" }), "google");
    expect(screen.queryByRole("list", { name: "Results of the test" })).toBeNull();
  });

  it("sends the settings of the form without an empty key, and shows each result in words", async () => {
    show();
    await userEvent.click(await screen.findByRole("button", { name: "Test" }));
    const results = within(await screen.findByRole("list", { name: "Results of the test" }));
    expect(sent()).toEqual([
      {
        method: "POST",
        path: CHECK_PATH,
        body: {
          draft: {
            provider: "openai_compatible",
            model: "qwen3",
            base_url: "https://models.example.com/v1",
            temperature: null,
          },
        },
      },
    ]);
    expect(results.getAllByRole("listitem").map((item) => item.querySelector("p")!.textContent)).toEqual([
      "reachable passed",
      "tool_calls failed",
      "call_ids skipped",
      "two_at_once warning",
    ]);
    expect(results.getByText("Choose another model.")).toBeTruthy();
    expect(screen.getByRole("status").textContent).toBe(
      "The agent cannot work with qwen3 (OpenAI-compatible server). The test used 9,120 tokens.",
    );
  });

  it("sends a key that was entered and is not saved", async () => {
    show();
    await userEvent.type(await screen.findByLabelText(/^Key/), "sk-new");
    await userEvent.click(screen.getByRole("button", { name: "Test" }));
    await screen.findByRole("list", { name: "Results of the test" });
    expect(sent()[0]!.body).toMatchObject({ draft: { key: "sk-new" } });
  });

  it("shows its progress, and is not sent twice", async () => {
    let finish: (answer: ModelCheckAnswer) => void = () => undefined;
    const finished = new Promise<ModelCheckAnswer>((resolve) => (finish = resolve));
    server.use(http.post(CHECK_PATH, async ({ response }) => response(200).json(await finished)));
    show();
    const button = await screen.findByRole("button", { name: "Test" });
    await userEvent.click(button);
    await userEvent.click(button);
    expect(screen.getByRole("status").textContent).toContain("Testing");
    expect(button.getAttribute("aria-disabled")).toBe("true");
    expect(sent()).toHaveLength(1);
    finish({ ...ANSWER, ok: true, checks: [ANSWER.checks[0]!, ANSWER.checks[3]!] });
    expect(await screen.findByText(/The agent can work with .*, with 1 warning\./)).toBeTruthy();
  });

  it("shows the server's messages at the fields", async () => {
    const errors = [{ field: "draft.key", message: "Enter the key again.", code: "required" }];
    server.use(http.post(CHECK_PATH, ({ response }) => response.untyped(refusal(422, { errors }))));
    show();
    await userEvent.click(await screen.findByRole("button", { name: "Test" }));
    const key = await screen.findByLabelText(/^Key/);
    await vi.waitFor(() => expect(key.getAttribute("aria-invalid")).toBe("true"));
    await userEvent.type(key, "sk-new");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await vi.waitFor(() => expect(key.getAttribute("aria-invalid")).toBeNull());
  });

  it("tests the default model of the installation without a form", async () => {
    own = null;
    status = { ...STATUS, is_own: false };
    show();
    await userEvent.click(await screen.findByRole("button", { name: "Test this model" }));
    await screen.findByRole("list", { name: "Results of the test" });
    expect(sent()).toEqual([{ method: "POST", path: CHECK_PATH, body: {} }]);
  });

  it("is not sent with a form that is not complete", async () => {
    own = null;
    show();
    await userEvent.click(await screen.findByRole("button", { name: "Test" }));
    expect(sent()).toEqual([]);
  });
});

describe("the page of the language model", () => {
  it("saves all settings, and keeps the stored key if none is entered", async () => {
    show();
    const model = await screen.findByLabelText(/^Model/);
    await userEvent.clear(model);
    await userEvent.type(model, "qwen4");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await vi.waitFor(() => expect(sent()).toHaveLength(1));
    expect(sent()[0]).toEqual({
      method: "PUT",
      path: "/api/v1/org/model",
      body: {
        provider: "openai_compatible",
        model: "qwen4",
        base_url: "https://models.example.com/v1",
        temperature: null,
        monthly_tokens: 1000,
        values_allowed: true,
      },
    });
  });

  it("never shows the key", async () => {
    show();
    expect(await screen.findByText(/A key that ends with cdef is stored/)).toBeTruthy();
    expect((screen.getByLabelText(/^Key/) as HTMLInputElement).value).toBe("");
  });

  it("says that a key is stored which is too short to show its end", async () => {
    own = { ...OWN, key: { set: true, last4: "" } };
    show();
    expect(await screen.findByText(/^A key is stored\./)).toBeTruthy();
  });

  it("shows members which model answers, and neither form nor test", async () => {
    logIn(["agent.use"]);
    show();
    expect(await screen.findByText("qwen3 (OpenAI-compatible server)")).toBeTruthy();
    expect(screen.queryByRole("button")).toBeNull();
    expect(screen.queryByLabelText(/^Key/)).toBeNull();
  });

  it("has no barriers that axe finds, also with results", async () => {
    const { container } = show();
    await userEvent.click(await screen.findByRole("button", { name: "Test" }));
    await screen.findByRole("list", { name: "Results of the test" });
    const { violations } = await axe.run(container);
    expect(violations.map(({ id, nodes }) => [id, nodes[0]!.html])).toEqual([]);
  });
});
