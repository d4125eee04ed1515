// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openPage, startApp } from "@/test-app";

const PATH = "/api/v1/repositories/r1";
const REPOSITORY = {
  id: "r1",
  url: "https://git.example.com/team/sources.git",
  branch: "main",
  path: "sources",
  username: "git",
  approves: false,
  token: { set: true, last4: "9f2c" },
  status: "succeeded",
  message: "",
  synced_at: "2026-11-22T09:00:00Z",
  commit: null,
  outcomes: [],
  webhook_url: "https://drover.example.com/api/v1/hooks/o1/repositories/r1",
};

let saved: typeof REPOSITORY;
let version: number;
let sent: { method: string; ifMatch: string | null; body: unknown }[];

/** A colleague changes the repository. The page has not heard of it. */
function saveElsewhere(changes: Partial<typeof REPOSITORY>) {
  saved = { ...saved, ...changes };
  version += 1;
}

/** Answers as the server, which refuses a change of an older version. */
async function respond(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname !== PATH)
    return Response.json({ results: pathname.endsWith("/repositories") ? [saved] : [], next: null });
  if (request.method !== "GET") {
    const ifMatch = request.headers.get("If-Match");
    const body = request.method === "PATCH" ? ((await request.json()) as object) : null;
    sent.push({ method: request.method, ifMatch, body });
    if (ifMatch !== `"${version}"`) return Response.json({ detail: "Changed meanwhile" }, { status: 412 });
    if (body) saveElsewhere(body);
  }
  return Response.json(saved, { headers: { ETag: `"${version}"` } });
}

beforeEach(async () => {
  saved = REPOSITORY;
  version = 1;
  sent = [];
  startApp(["read", "custom_sources.edit"], respond);
  await openPage("/sources/repositories");
  await userEvent.click(await screen.findByRole("button", { name: /^Edit ?https/ }));
  await screen.findByRole("form", { name: "Edit repository" });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

async function fill(label: RegExp, text: string) {
  await userEvent.clear(screen.getByLabelText(label));
  await userEvent.type(screen.getByLabelText(label), text);
}

const click = (name: string) => userEvent.click(screen.getByRole("button", { name }));

it("a repository is saved with the version that was edited, and without a token that was not typed", async () => {
  await fill(/^Branch/, "release");
  await click("Save");
  await waitFor(() => expect(sent).toHaveLength(1));
  expect(sent[0]).toMatchObject({ method: "PATCH", ifMatch: '"1"', body: { branch: "release" } });
  expect(sent[0]!.body).not.toHaveProperty("token");
  await waitFor(() => expect(screen.queryByRole("form", { name: "Edit repository" })).toBeNull());
});

it("a repository that somebody else has changed is compared before it is saved", async () => {
  await fill(/^Branch/, "mine");
  await fill(/^Token/, "typed-canary");
  saveElsewhere({ branch: "theirs", path: "pipelines" });
  await click("Save");
  const notice = await screen.findByRole("alert");
  expect(within(notice).getByText("Folder: pipelines")).toBeTruthy();
  expect(notice.textContent).not.toContain("typed-canary");
  await userEvent.click(within(notice).getByRole("radio", { name: /^Take theirs/ }));
  await click("Save the chosen values");
  await waitFor(() => expect(sent).toHaveLength(2));
  const body = { branch: "theirs", path: "pipelines", token: "typed-canary" };
  expect(sent[1]).toMatchObject({ ifMatch: '"2"', body });
});

it("a repository that somebody else has changed is not disconnected", async () => {
  saveElsewhere({ branch: "theirs" });
  await click("Disconnect");
  const dialog = await screen.findByRole("dialog");
  await userEvent.click(within(dialog).getByRole("button", { name: "Disconnect" }));
  await waitFor(() => expect(sent).toEqual([{ method: "DELETE", ifMatch: '"1"', body: null }]));
  await waitFor(() => expect(screen.getByLabelText<HTMLInputElement>(/^Branch/).value).toBe("theirs"));
});
