// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Repository } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, part, refusal, startServer } from "@/test-server";

const REPOSITORY = part<Repository>({
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
});

let saved: Repository;
let version: number;
let sent: { method: string; ifMatch: string | null; body: unknown }[];

/** A colleague changes the repository. The page has not heard of it. */
function saveElsewhere(changes: Partial<Repository>) {
  saved = { ...saved, ...changes };
  version += 1;
}

const etag = () => `"${version}"`;

/** Notes a change. Returns whether the server refuses it, because it is of an older version. */
function isRefused({ method, headers }: Request, body: unknown): boolean {
  const ifMatch = headers.get("If-Match");
  sent.push({ method, ifMatch, body });
  return ifMatch !== etag();
}

startServer(
  http.get("/api/v1/repositories", ({ response }) =>
    response(200).json({ results: [saved], next: null, previous: null, count: 1 }),
  ),
  http.get("/api/v1/repositories/{id}", ({ response }) =>
    response(200).json(saved, { headers: { ETag: etag() } }),
  ),
  http.patch("/api/v1/repositories/{id}", async ({ request, response }) => {
    const body = await request.json();
    if (isRefused(request, body)) return response.untyped(refusal(412));
    const { branch, path } = body ?? {};
    saveElsewhere({ ...(branch && { branch }), ...(path && { path }) });
    return response(200).json(saved, { headers: { ETag: etag() } });
  }),
  http.delete("/api/v1/repositories/{id}", ({ request, response }) =>
    isRefused(request, null) ? response.untyped(refusal(412)) : response(204).empty(),
  ),
  EMPTY_LISTS,
);

beforeEach(async () => {
  saved = REPOSITORY;
  version = 1;
  sent = [];
  startApp(["read", "custom_sources.edit"]);
  await openPage("/sources/repositories");
  await userEvent.click(await screen.findByRole("button", { name: /^Edit ?https/ }));
  await screen.findByRole("form", { name: "Edit repository" });
});
afterEach(cleanup);

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
  await userEvent.type(within(dialog).getByLabelText(/^Type/), "https://git.example.com/team/sources.git");
  await userEvent.click(within(dialog).getByRole("button", { name: "Disconnect" }));
  await waitFor(() => expect(sent).toEqual([{ method: "DELETE", ifMatch: '"1"', body: null }]));
  await waitFor(() => expect(screen.getByLabelText<HTMLInputElement>(/^Branch/).value).toBe("theirs"));
});
