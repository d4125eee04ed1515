// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { endSession } from "@/api/session";
import type { CatalogueEntry, ConnectorRow } from "@/api/types";
import { DestinationStep } from "./destination-step";
import { type StreamDraft } from "@/components/streams/stream-draft";
import { http, logIn, part, startServer } from "@/test-server";
import { EMPTY_DRAFT } from "./draft";
import { SourceStep } from "./source-step";

const KIND = part<CatalogueEntry>({
  kind: "postgres",
  name: "PostgreSQL",
  description: "A database.",
  config_schema: {
    type: "object",
    required: ["host"],
    properties: {
      host: { type: "string", title: "Host" },
      password: { type: "string", title: "Password", writeOnly: true },
    },
  },
  write_modes: ["replace", "append"],
});
const ORDERS: StreamDraft = {
  stream: "orders",
  syncMode: "full_refresh",
  cursorField: null,
  primaryKey: [],
  table: "orders",
  writeMode: "replace",
};
const SAVED = part<ConnectorRow>({ id: "c1", name: "PostgreSQL", kind: "postgres" });

/** The connectors that were created, and the domains of the organization. */
const created: unknown[] = [];
let domains: { id: string; name: string }[];
let answerTest: () => Promise<object> | object;

startServer(
  http.get("/api/v1/catalog/sources", ({ response }) => response(200).json(part({ results: [KIND] }))),
  http.get("/api/v1/catalog/destinations", ({ response }) => response(200).json(part({ results: [KIND] }))),
  http.get("/api/v1/org/domains", ({ response }) =>
    response(200).json(part({ results: domains, next: null })),
  ),
  http.get("/api/v1/connectors", ({ response }) =>
    response(200).json(part({ results: [SAVED], next: null })),
  ),
  http.post("/api/v1/connectors/check", async ({ response }) => response(200).json(part(await answerTest()))),
  http.post("/api/v1/connectors/{id}/check", async ({ response }) =>
    response(200).json(part(await answerTest())),
  ),
  http.post("/api/v1/connectors", async ({ request, response }) => {
    const { name, kind } = await request.clone().json();
    created.push(await request.json());
    return response(201).json(part({ id: "c2", name, kind }));
  }),
);

beforeEach(() => {
  created.length = 0;
  sessionStorage.clear();
  domains = [];
  answerTest = () => ({ ok: true, steps: [] });
  Element.prototype.scrollIntoView = () => undefined; // jsdom has no layout
  logIn(["connectors.edit"]);
});
afterEach(cleanup);

function show(step: ReactNode) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(<QueryClientProvider client={client}>{step}</QueryClientProvider>);
}

const click = async (name: RegExp) => userEvent.click(await screen.findByRole("button", { name }));
const newKind = async () =>
  userEvent.click((await screen.findAllByRole("button", { name: /^PostgreSQL/ })).at(-1)!);

describe("the step of the source", () => {
  it("shows the form of the chosen kind in place of the choices, with the focus on its first field", async () => {
    show(<SourceStep source={null} onDone={vi.fn()} />);
    await newKind();
    expect(document.activeElement).toBe(screen.getByLabelText("Host"));
    expect(screen.queryByRole("searchbox")).toBeNull();
    await click(/^Choose another$/);
    expect(document.activeElement).toBe(screen.getByRole("searchbox"));
  });

  it("proposes a name that no other source has", async () => {
    show(<SourceStep source={null} onDone={vi.fn()} />);
    await newKind();
    expect(screen.getByLabelText<HTMLInputElement>("Save as").value).toBe("PostgreSQL 2");
  });

  it("keeps what was typed after a reload, without secrets", async () => {
    show(<SourceStep source={null} onDone={vi.fn()} />);
    await newKind();
    await userEvent.type(screen.getByLabelText("Host"), "db.example.com");
    await userEvent.type(screen.getByLabelText(/^Password/), "hunter2-hunter2");
    await userEvent.clear(screen.getByLabelText("Save as"));
    await userEvent.type(screen.getByLabelText("Save as"), "Shop");
    expect(JSON.stringify({ ...sessionStorage })).not.toContain("hunter2");
    cleanup();
    show(<SourceStep source={null} onDone={vi.fn()} />);
    expect((await screen.findByLabelText<HTMLInputElement>("Host")).value).toBe("db.example.com");
    expect(screen.getByLabelText<HTMLInputElement>(/^Password/).value).toBe("");
    expect(screen.getByLabelText<HTMLInputElement>("Save as").value).toBe("Shop");
    expect(screen.getByText(/Secrets are not kept/)).toBeTruthy();
  });

  it("forgets what was typed when another kind is chosen, and when the source is saved", async () => {
    const onDone = vi.fn();
    show(<SourceStep source={null} onDone={onDone} />);
    await newKind();
    await userEvent.type(screen.getByLabelText("Host"), "db.example.com");
    await click(/^Choose another$/);
    await newKind();
    expect(screen.getByLabelText<HTMLInputElement>("Host").value).toBe("");
    await userEvent.type(screen.getByLabelText("Host"), "db.example.com");
    await click(/^Save and continue$/);
    await waitFor(() => expect(onDone).toHaveBeenCalledOnce());
    cleanup();
    show(<SourceStep source={null} onDone={onDone} />);
    await newKind();
    expect(screen.getByLabelText<HTMLInputElement>("Host").value).toBe("");
  });

  it("keeps nothing that is typed after the log-out, while the form is still open", async () => {
    show(<SourceStep source={null} onDone={vi.fn()} />);
    await newKind();
    endSession();
    sessionStorage.clear();
    await userEvent.type(screen.getByLabelText("Host"), "db.example.com");
    expect(JSON.stringify({ ...sessionStorage })).not.toContain("db.example.com");
  });

  it("shows nothing of what another user has typed in this tab", async () => {
    show(<SourceStep source={null} onDone={vi.fn()} />);
    await newKind();
    await userEvent.type(screen.getByLabelText("Host"), "db.example.com");
    const key = "drover.kept.new-pipeline.source";
    const stored = sessionStorage.getItem(key)!;
    cleanup();
    sessionStorage.setItem(key, stored.replace("u1", "u2"));
    show(<SourceStep source={null} onDone={vi.fn()} />);
    expect(await screen.findByRole("searchbox")).toBeTruthy();
  });

  it("continues with a saved source", async () => {
    const onDone = vi.fn();
    show(<SourceStep source={null} onDone={onDone} />);
    await userEvent.click((await screen.findAllByRole("button", { name: /^PostgreSQL/ }))[0]!);
    expect(document.activeElement).toBe(screen.getByRole("heading", { name: /^PostgreSQL/ }));
    await click(/^Continue$/);
    expect(onDone).toHaveBeenCalledWith({ connectorId: "c1", kind: "postgres", label: "PostgreSQL" });
  });

  it("saves the source in the only domain in which the user may edit connectors", async () => {
    domains = [
      { id: "d1", name: "Sales" },
      { id: "d2", name: "Marketing" },
    ];
    logIn([], [{ id: "d2", permissions: ["connectors.edit"] }]);
    show(<SourceStep source={null} onDone={vi.fn()} />);
    await newKind();
    await userEvent.type(screen.getByLabelText("Host"), "db.example.com");
    await click(/^Save and continue$/);
    await waitFor(() => expect(created).toMatchObject([{ domain_id: "d2" }]));
  });

  it("saves a source whose test fails only if the user wants that", async () => {
    const failed = { step: "connect", ok: false, message: "refused", ms: 3, next_step: "Check the host." };
    answerTest = () => ({ ok: false, steps: [failed] });
    const onDone = vi.fn();
    show(<SourceStep source={null} onDone={onDone} />);
    await newKind();
    await userEvent.type(screen.getByLabelText("Host"), "db.example.com");
    await click(/^Save and continue$/);
    await screen.findByText("Check the host.");
    expect(created).toEqual([]);
    await click(/^Save anyway$/);
    await waitFor(() => expect(onDone).toHaveBeenCalledOnce());
    expect(created).toHaveLength(1);
  });

  it("does not wait for a slow test if the user saves without it, and saves once", async () => {
    let passTest: (answer: object) => void = () => undefined;
    answerTest = () => new Promise((resolve) => (passTest = resolve));
    const onDone = vi.fn();
    show(<SourceStep source={null} onDone={onDone} />);
    await newKind();
    await userEvent.type(screen.getByLabelText("Host"), "db.example.com");
    await click(/^Save and continue$/);
    await click(/^Save without testing$/);
    await waitFor(() => expect(onDone).toHaveBeenCalledOnce());
    passTest({ ok: true, steps: [] });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(created).toHaveLength(1);
  });

  it("saves at once what has just passed a test", async () => {
    let tests = 0;
    answerTest = () => ({ ok: true, steps: [], number: (tests += 1) });
    const onDone = vi.fn();
    show(<SourceStep source={null} onDone={onDone} />);
    await newKind();
    await userEvent.type(screen.getByLabelText("Host"), "db.example.com");
    await click(/^Test connection$/);
    await screen.findByRole("button", { name: "Test connection" });
    await waitFor(() => expect(tests).toBe(1));
    await click(/^Save and continue$/);
    await waitFor(() => expect(onDone).toHaveBeenCalledOnce());
    await waitFor(() => expect(tests).toBe(2)); // that of the saved connector, whose result is stored
  });
});

describe("the step of the destination", () => {
  it("saves a new destination as a connector", async () => {
    const onDone = vi.fn();
    show(<DestinationStep draft={{ ...EMPTY_DRAFT, streams: [ORDERS] }} errors={{}} onDone={onDone} />);
    await newKind();
    await click(/^Save and continue$/);
    expect(created).toEqual([]); // the host is missing
    await userEvent.type(screen.getByLabelText("Host"), "db.example.com");
    await click(/^Save and continue$/);
    const body = { role: "destination", name: "PostgreSQL 2", config: { host: "db.example.com" } };
    await waitFor(() => expect(created).toMatchObject([body]));
    await waitFor(() => expect(onDone).toHaveBeenCalled());
    expect(onDone).toHaveBeenCalledWith(
      expect.objectContaining({
        destination: { connectorId: "c2", kind: "postgres", label: "PostgreSQL 2" },
        streams: [ORDERS],
      }),
    );
  });

  it("saves nothing while the table has no name", async () => {
    const onDone = vi.fn();
    show(<DestinationStep draft={{ ...EMPTY_DRAFT, streams: [ORDERS] }} errors={{}} onDone={onDone} />);
    await newKind();
    await userEvent.type(screen.getByLabelText("Host"), "db.example.com");
    await userEvent.clear(screen.getByLabelText("Destination table"));
    await click(/^Save and continue$/);
    expect(created).toEqual([]);
    expect(onDone).not.toHaveBeenCalled();
  });

  it("says that several streams are written with another mode, if the destination does not support the chosen one", async () => {
    const onDone = vi.fn();
    const items: StreamDraft = {
      ...ORDERS,
      stream: "items",
      table: "items",
      syncMode: "incremental",
      primaryKey: ["id"],
      writeMode: "merge",
    };
    show(
      <DestinationStep draft={{ ...EMPTY_DRAFT, streams: [ORDERS, items] }} errors={{}} onDone={onDone} />,
    );
    await userEvent.click((await screen.findAllByRole("button", { name: /^PostgreSQL/ }))[0]!);
    expect(screen.getByText(/1.stream will be written with the mode Append/)).toBeTruthy();
    expect(screen.queryByLabelText("Destination table")).toBeNull();
    await click(/^Continue$/);
    expect(onDone).toHaveBeenCalledWith(
      expect.objectContaining({ streams: [ORDERS, { ...items, writeMode: "append" }] }),
    );
  });
});
