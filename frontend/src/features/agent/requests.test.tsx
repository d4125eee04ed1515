// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import { http, noteRequests, part, refusal, startServer } from "@/test-server";
import { ApprovalCard } from "./approval-card";
import { QuestionCard } from "./question-card";
import type { Card, RequestItem } from "./transcript";

const DECISION = "/api/v1/agent/conversations/{id}/approvals/{approval_id}";
const SETTINGS = "/api/v1/agent/conversations/{id}/source-settings";

const server = startServer(
  http.post(DECISION, ({ response }) => response(200).json(part({ id: "a1", state: "approved" }))),
  http.put(SETTINGS, ({ response }) => response(204).empty()),
  http.post("/api/v1/pipelines/{id}/follow-ups", ({ response }) => response(201).json(part({ id: "f1" }))),
  http.post("/api/v1/connectors", ({ response }) => response(201).json(part({ id: "k1" }))),
);
const sent = noteRequests(server);
const sentBodies = () => sent.map(({ url, body }) => ({ path: url.pathname, body }));

afterEach(cleanup);

const CARD: Card = {
  title: "Enable flights",
  facts: [{ label: "Pipeline", value: "flights" }],
  changes: [{ field: "enabled", before: false, after: true }],
  warnings: ["It runs at once."],
  choices: [],
  form: null,
};

function requestItem(changes: Partial<RequestItem> = {}): RequestItem {
  return {
    type: "approval",
    id: "a1",
    state: "open",
    tool: "set_pipeline_enabled",
    title: "Enable a pipeline",
    card: CARD,
    arguments: { enabled: true },
    expires_at: "2126-01-01T00:00:00Z",
    ...changes,
  };
}

const client = new QueryClient();

function show(request: RequestItem) {
  return render(cardOf(request));
}

function cardOf(request: RequestItem) {
  const isOpen = request.state === "open";
  return (
    <QueryClientProvider client={client}>
      {request.type === "approval" ? (
        <ApprovalCard conversationId="c1" request={request} isOpen={isOpen} />
      ) : (
        <QuestionCard conversationId="c1" question={request} isOpen={isOpen} />
      )}
    </QueryClientProvider>
  );
}

const DECISION_PATH = "/api/v1/agent/conversations/c1/approvals/a1";

describe("an approval", () => {
  it("shows the facts, the exact change and the warnings, and is approved once", async () => {
    show(requestItem());
    const changes = within(screen.getByRole("list", { name: "Changes" }));
    expect(changes.getByText("No")).toBeTruthy();
    expect(changes.getByText("Yes")).toBeTruthy();
    expect(screen.getByText("It runs at once.")).toBeTruthy();
    await userEvent.dblClick(screen.getByRole("button", { name: "Approve" }));
    expect(sentBodies()).toEqual([{ path: DECISION_PATH, body: { decision: "approve" } }]);
  });

  it("separates the pipelines that it creates", () => {
    const facts = [
      { label: "Name", value: "flights" },
      { label: "Table", value: "flights" },
      { label: "Name", value: "weather" },
    ];
    show(requestItem({ card: { ...CARD, facts } }));
    const names = screen.getAllByText("Name").map(({ className }) => className.includes("border-t"));
    expect(names).toEqual([false, true]);
  });

  it("keeps the focus while it is edited, sent back and rejected", async () => {
    show(requestItem());
    await userEvent.click(screen.getByRole("button", { name: "Edit" }));
    expect(document.activeElement?.textContent).toBe("Form");
    await userEvent.keyboard("{Escape}");
    expect(document.activeElement?.textContent).toBe("Edit");
    await userEvent.click(screen.getByRole("button", { name: "Reject" }));
    expect(document.activeElement?.tagName).toBe("INPUT");
    await userEvent.keyboard("{Escape}");
    expect(document.activeElement?.textContent).toBe("Reject");
  });

  it("has the focus itself after it was decided", async () => {
    const { rerender } = show(requestItem());
    await userEvent.click(screen.getByRole("button", { name: "Approve" }));
    rerender(cardOf(requestItem({ state: "approved" })));
    expect(document.activeElement?.getAttribute("aria-label")).toBe("Approval: Enable flights");
  });

  it("is rejected with a reason", async () => {
    show(requestItem());
    await userEvent.click(screen.getByRole("button", { name: "Reject" }));
    await userEvent.type(screen.getByLabelText(/Reason/), "Not now{Enter}");
    expect(sent[0]!.body).toEqual({ decision: "reject", reason: "Not now" });
  });

  it("is edited, and shows the server's errors at the arguments", async () => {
    const errors = [{ field: "pipeline_id", message: "This pipeline does not exist." }];
    server.use(http.post(DECISION, ({ response }) => response.untyped(refusal(422, { errors }))));
    show(requestItem());
    await userEvent.click(screen.getByRole("button", { name: "Edit" }));
    await userEvent.click(screen.getByRole("button", { name: "As JSON" }));
    const field = await screen.findByLabelText("Arguments");
    await userEvent.clear(field);
    await userEvent.paste('{"enabled": false}');
    await userEvent.click(screen.getByRole("button", { name: "Approve with changes" }));
    expect(sent[0]!.body).toEqual({ decision: "edit", arguments: { enabled: false } });
    expect(await screen.findByText("pipeline_id: This pipeline does not exist.")).toBeTruthy();
    expect(field.getAttribute("aria-invalid")).toBe("true");
  });

  it("is not sent with arguments that are not JSON", async () => {
    show(requestItem());
    await userEvent.click(screen.getByRole("button", { name: "Edit" }));
    await userEvent.click(screen.getByRole("button", { name: "As JSON" }));
    await userEvent.type(await screen.findByLabelText("Arguments"), "x");
    await userEvent.click(screen.getByRole("button", { name: "Approve with changes" }));
    expect(screen.getByText(/This is not valid JSON/)).toBeTruthy();
    expect(sent).toEqual([]);
  });

  it.each(["expired", "superseded", "stopped", "rejected", "used", "failed"] as const)(
    "has no buttons when it is %s",
    (state) => {
      show(requestItem({ state }));
      expect(screen.queryByRole("button")).toBeNull();
    },
  );
});

const SETTINGS_FORM = {
  kind: "source_settings",
  path: "/agent/conversations/c1/source-settings",
  schema: {
    type: "object",
    properties: { token: { type: "string", title: "Token", writeOnly: true } },
    required: ["token"],
  },
  hosts: ["api.shop.example"],
  filled: false,
};

describe("an approval with settings", () => {
  it("sends the secret to the settings only, before the decision", async () => {
    show(requestItem({ card: { ...CARD, form: SETTINGS_FORM } }));
    await userEvent.type(screen.getByLabelText(/Token/), "hunter2");
    await userEvent.click(screen.getByRole("button", { name: "Approve" }));
    await vi.waitFor(() => expect(sent).toHaveLength(2));
    expect(sentBodies()).toEqual([
      {
        path: "/api/v1/agent/conversations/c1/source-settings",
        body: { config: { token: "hunter2" }, hosts: ["api.shop.example"] },
      },
      { path: DECISION_PATH, body: { decision: "approve" } },
    ]);
  });

  it("is not approved while a required setting is empty", async () => {
    show(requestItem({ card: { ...CARD, form: SETTINGS_FORM } }));
    await userEvent.click(screen.getByRole("button", { name: "Approve" }));
    expect(screen.getByText("Enter a value.")).toBeTruthy();
    expect(sent).toEqual([]);
  });

  it("is not decided if the settings were refused", async () => {
    const detail = "This conversation does not exist.";
    server.use(http.put(SETTINGS, ({ response }) => response.untyped(refusal(404, { detail }))));
    show(requestItem({ card: { ...CARD, form: SETTINGS_FORM } }));
    await userEvent.type(screen.getByLabelText(/Token/), "hunter2");
    await userEvent.click(screen.getByRole("button", { name: "Approve" }));
    expect(await screen.findByText("This conversation does not exist.")).toBeTruthy();
    expect(sent).toHaveLength(1);
  });

  it("uses settings again that were entered before, unless the user enters others", async () => {
    show(requestItem({ card: { ...CARD, form: { ...SETTINGS_FORM, filled: true } } }));
    expect(screen.queryByLabelText(/Token/)).toBeNull();
    await userEvent.click(screen.getByRole("button", { name: "Approve" }));
    expect(sentBodies()).toEqual([{ path: DECISION_PATH, body: { decision: "approve" } }]);
  });
});

describe("a change of code", () => {
  const DIFF = "--- version 1\n+++ version 2\n@@ -1,2 +1,2 @@\n-old = 1\n+new = 2\n same\n";
  const change = { field: "code", before: "old = 1\nsame\n", after: "new = 2\nsame\n" };

  it("is shown as a diff, whose lines have a sign", () => {
    show(requestItem({ card: { ...CARD, changes: [{ ...change, diff: DIFF }] } }));
    const diff = screen.getByRole("region", { name: "Changes of code" });
    expect(diff.textContent).toBe("@@ -1,2 +1,2 @@-old = 1+new = 2 same");
  });

  it("is folded if it is long", async () => {
    const after = Array.from({ length: 100 }, (_, number) => `line ${number}`).join("\n");
    show(requestItem({ card: { ...CARD, changes: [{ field: "code", before: null, after }] } }));
    const code = screen.getByRole("region", { name: "Code" });
    expect(code.textContent).not.toContain("line 99");
    await userEvent.click(screen.getByRole("button", { name: /Show all 100\slines/ }));
    expect(code.textContent).toContain("line 99");
  });

  it("cannot be edited if its arguments are too large to be sent", () => {
    show(requestItem({ arguments: { note: "40,000 characters are too many to show here." } }));
    expect(screen.getByRole("button", { name: "Edit" }).getAttribute("aria-disabled")).toBe("true");
  });
});

describe("a question", () => {
  it("is answered with a choice, which Tab reaches as any button", async () => {
    show(requestItem({ type: "question", card: { ...CARD, choices: ["DuckDB", "Parquet"] } }));
    screen.getByRole("button", { name: "DuckDB" }).focus();
    await userEvent.keyboard("{Tab}{Enter}");
    expect(sent[0]!.body).toEqual({ decision: "answer", answer: { text: "Parquet" } });
  });

  it("sends a secret to the connectors only, and answers with the id of the connector", async () => {
    const schema = {
      type: "object",
      properties: { host: { type: "string" }, password: { type: "string", writeOnly: true } },
      required: ["host", "password"],
    };
    const form = { role: "source", kind: "postgres", name: "Shop", config: { host: "db" }, schema };
    show(requestItem({ type: "question", card: { ...CARD, form } }));
    await userEvent.type(screen.getByLabelText(/Password/), "hunter2");
    await userEvent.click(screen.getByRole("button", { name: "Save connector" }));
    await vi.waitFor(() => expect(sent).toHaveLength(2));
    expect(sentBodies()[0]).toMatchObject({
      path: "/api/v1/connectors",
      body: { role: "source", kind: "postgres", name: "Shop", config: { host: "db", password: "hunter2" } },
    });
    expect(sentBodies()[1]).toEqual({
      path: DECISION_PATH,
      body: { decision: "answer", answer: { connector_id: "k1" } },
    });
  });

  it("sends the URL and the secret of a call after runs to its pipeline only, and answers with its id", async () => {
    const values = { name: "Report", kind: "webhook", after: "end", settings: {} };
    const form = { kind: "follow_up", pipeline_id: "p1", values };
    show(requestItem({ type: "question", card: { ...CARD, form } }));
    await userEvent.type(screen.getByLabelText("URL"), "https://hooks.example.com/x");
    await userEvent.type(screen.getByLabelText("Secret"), "hunter2-hunter2-hunter2");
    await userEvent.click(screen.getByRole("button", { name: "Add" }));
    await vi.waitFor(() => expect(sent).toHaveLength(2));
    const settings = { url: "https://hooks.example.com/x", secret: "hunter2-hunter2-hunter2" };
    expect(sentBodies()).toEqual([
      { path: "/api/v1/pipelines/p1/follow-ups", body: { ...values, settings } },
      { path: DECISION_PATH, body: { decision: "answer", answer: { follow_up_id: "f1" } } },
    ]);
  });

  it("takes no focus with the form of a call after runs", () => {
    const values = { name: "", kind: "dbt_cloud", after: "success", settings: { job_id: 815 } };
    const form = { kind: "follow_up", pipeline_id: "p1", values };
    show(requestItem({ type: "question", card: { ...CARD, form } }));
    expect(document.activeElement).toBe(document.body);
    expect(screen.getByLabelText<HTMLInputElement>("Job ID").value).toBe("815");
  });
});
