// @vitest-environment jsdom
import { QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http as untyped, HttpResponse } from "msw";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OwnModel, OwnProvider } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, logIn, part, refusal, startServer } from "@/test-server";
import { ModelPage } from "./model-page";
import { LimitsSection, RetentionSection } from "./organization-numbers";
import { organizationQuery } from "@/api/organization";
import { SsoPage } from "./sso-page";

const ORG = { id: "o1", name: "Acme", max_running: 4, max_pipelines: null, keep_logs_days: 30 };
const MODEL = part<OwnModel>({
  provider: "anthropic",
  model: "claude",
  key: { set: true, last4: "cdef" },
  base_url: "",
  temperature: null,
  monthly_tokens: 1000,
  values_allowed: false,
});
const PROVIDER = part<OwnProvider>({
  issuer: "https://login.example.com",
  client_id: "drover",
  client_secret: { set: true, last4: "suer" },
  join_role: "viewer",
  enabled: true,
});
const DOMAIN = { id: "d1", name: "Marketing", members: [] };
const PATHS = {
  organization: "/api/v1/org",
  model: "/api/v1/org/model",
  provider: "/api/v1/org/identity-provider",
  domain: "/api/v1/org/domains/d1",
};

/** The saved objects by path, each with a version that increases with each change. */
let stored: Map<string, { body: object; version: number }>;
let sent: { method: string; path: string; ifMatch: string | null; body: unknown; status: number }[];

/** A colleague changes an object. The page has not heard of it. */
function saveElsewhere(path: string, changes: object) {
  const { body, version } = stored.get(path)!;
  stored.set(path, { body: { ...body, ...changes }, version: version + 1 });
}

startServer(
  http.get("/api/v1/org/domains", ({ response }) => response(200).json(part({ results: [DOMAIN] }))),
  http.get("/api/v1/org/scim/groups", ({ response }) => response(200).json({ groups: [] })),
  http.get("/api/v1/agent/status", ({ response }) => response(200).json(part({ mode: "guided" }))),
  ...Object.values(PATHS).map((path) => untyped.all(`*${path}`, ({ request }) => respond(path, request))),
  http.post("/api/v1/auth/refresh", ({ response }) => response.untyped(refusal(503))),
  EMPTY_LISTS,
);

/** Answers as the server, which refuses a change of an older version. */
async function respond(path: string, request: Request): Promise<Response> {
  const current = stored.get(path)!;
  const tag = `"${current.version}"`;
  if (request.method === "GET") return HttpResponse.json(current.body, { headers: { ETag: tag } });
  const ifMatch = request.headers.get("If-Match");
  const body: unknown = request.method === "DELETE" ? null : await request.json();
  const status = ifMatch === tag ? 200 : 412;
  sent.push({ method: request.method, path, ifMatch, body, status });
  if (status === 412) return refusal(status);
  saveElsewhere(path, body as object);
  const saved = stored.get(path)!;
  return HttpResponse.json(saved.body, { headers: { ETag: `"${saved.version}"` } });
}

beforeEach(() => {
  sent = [];
  stored = new Map(
    Object.entries({ organization: ORG, model: MODEL, provider: PROVIDER, domain: DOMAIN }).map(
      ([name, body]) => [PATHS[name as keyof typeof PATHS], { body, version: 1 }],
    ),
  );
  logIn(["settings.edit", "owners.manage", "domains.manage"]);
  HTMLDialogElement.prototype.close ??= () => undefined; // jsdom has no dialogs
  HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
    this.open = true;
  };
});
afterEach(cleanup);

function show(page: ReactNode) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(<QueryClientProvider client={client}>{page}</QueryClientProvider>);
}

function Numbers() {
  const { data } = useQuery(organizationQuery);
  return (
    data && (
      <>
        <LimitsSection org={data} />
        <RetentionSection org={data} />
      </>
    )
  );
}

async function fill(label: RegExp, text: string) {
  const field = await screen.findByLabelText(label);
  await userEvent.clear(field);
  await userEvent.type(field, text);
}

const click = (name: string) => userEvent.click(screen.getByRole("button", { name }));

async function take(field: string) {
  const group = within(await screen.findByRole("group", { name: field }));
  await userEvent.click(group.getByRole("radio", { name: /^Take theirs/ }));
  await click("Save the chosen values");
}

describe("if somebody else saves first", () => {
  it("the limits of the organization are compared", async () => {
    show(<Numbers />);
    await fill(/^Concurrent runs/, "8");
    await fill(/^Pipelines/, "20");
    saveElsewhere(PATHS.organization, { max_running: 2, name: "Acme Ltd" });
    await click("Save limits");
    await take("Concurrent runs");
    await waitFor(() => expect(sent).toHaveLength(2));
    expect(sent[0]).toMatchObject({ ifMatch: '"1"', status: 412 });
    expect(sent[1]).toMatchObject({ ifMatch: '"2"', status: 200, body: { max_pipelines: 20 } });
  });

  it("and in another section of the organization, the user only saves again", async () => {
    show(<Numbers />);
    await fill(/^Concurrent runs/, "8");
    saveElsewhere(PATHS.organization, { keep_logs_days: 7 });
    await click("Save limits");
    await screen.findByText(/Your changes are kept: save again/);
    await click("Save limits");
    await waitFor(() => expect(sent.at(-1)).toMatchObject({ ifMatch: '"2"', body: { max_running: 8 } }));
    expect((screen.getByLabelText(/^Run logs/) as HTMLInputElement).value).toBe("7");
  });

  it("the language model is compared, and not replaced", async () => {
    show(<ModelPage />);
    await fill(/^Model/, "mine");
    saveElsewhere(PATHS.model, { model: "theirs", monthly_tokens: 5 });
    await click("Save");
    expect(await screen.findByText("Tokens per month: 5")).toBeTruthy();
    await take("Model");
    await waitFor(() => expect(sent).toHaveLength(2));
    expect(sent[1]).toMatchObject({ ifMatch: '"2"', body: { model: "theirs", monthly_tokens: 5 } });
  });

  it("the identity provider is compared, and not replaced", async () => {
    show(<SsoPage />);
    await fill(/^Client ID/, "mine");
    saveElsewhere(PATHS.provider, { client_id: "theirs", join_role: null });
    await click("Save");
    expect(await screen.findByText("Uninvited users: Deny")).toBeTruthy();
    await take("Client ID");
    await waitFor(() => expect(sent).toHaveLength(2));
    expect(sent[1]).toMatchObject({ ifMatch: '"2"', body: { client_id: "theirs", join_role: null } });
    expect(sent[1]!.body).not.toHaveProperty("client_secret");
  });

  it("the name of a domain is compared", async () => {
    startApp(["read", "domains.manage"]);
    await openPage("/settings/domains");
    await userEvent.click(await screen.findByRole("button", { name: /^Rename ?Marketing/ }));
    await fill(/^Name/, "Sales");
    saveElsewhere(PATHS.domain, { name: "Growth" });
    await click("Save");
    await take("Name");
    await waitFor(() => expect(sent.at(-1)).toMatchObject({ ifMatch: '"2"', body: { name: "Growth" } }));
  });

  it("a domain that was renamed since the user was asked is not deleted", async () => {
    startApp(["read", "domains.manage"]);
    await openPage("/settings/domains");
    await userEvent.click(await screen.findByRole("button", { name: /^Delete ?Marketing/ }));
    await screen.findByText("Delete Marketing?");
    saveElsewhere(PATHS.domain, { name: "Growth" });
    await userEvent.type(screen.getByLabelText("Type Marketing to confirm"), "Marketing");
    await userEvent.click(screen.getByRole("button", { name: "Delete", hidden: true }));
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]).toMatchObject({ method: "DELETE", ifMatch: '"1"', status: 412 });
    expect(await screen.findByRole("alert", { hidden: true })).toBeTruthy();
  });
});
