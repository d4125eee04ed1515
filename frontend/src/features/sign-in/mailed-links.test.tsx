// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { goTo, openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, noteRequests, refusal, startServer } from "@/test-server";

const USED = refusal(410, { code: "link_spent", detail: "This link was already used." });
const TOO_LONG = refusal(400, {
  errors: [{ field: "token", message: "Ensure this field has no more than 200 characters.", code: "max_length" }],
}); // prettier-ignore

const server = startServer(EMPTY_LISTS);
const requests = noteRequests(server);

beforeEach(() => {
  startApp(["read"]);
  sessionStorage.clear(); // it keeps the secret of an invitation
});
afterEach(cleanup);

const PAGES: [string, string, RegExp, RegExp][] = [
  ["/invitation", "/api/v1/invitations/show", /invitation can't be opened/, /ask the person who invited you/],
  [
    "/verify-email",
    "/api/v1/auth/email/verify",
    /address can't be confirmed/,
    /Drover offers there to send a new link/,
  ],
  ["/reset-password", "/api/v1/auth/password/reset", /password can't be set/, /request a new link/],
];

/** Opens the page, and sends its form if it has one. */
async function follow(path: string) {
  await openPage("/forgot-password"); // the page of the link is not open yet
  await goTo(path);
  await screen.findByRole("heading", { level: 1 });
  const password = screen.queryByLabelText(/^New password/);
  if (password) await userEvent.type(password, "a good long password{Enter}");
}

describe.each(PAGES)("%s says what happened and what to do", (path, api, title, nextStep) => {
  it("without a secret in the link, and sends no request", async () => {
    await follow(path);
    expect(await screen.findByRole("heading", { name: title })).toBeTruthy();
    expect(screen.getByRole("alert").textContent).toMatch(nextStep);
    expect(requests.filter(({ url }) => url.pathname === api)).toEqual([]);
  });

  it("takes the secret out of the address, but not while it renders", async () => {
    const warn = vi.spyOn(console, "error").mockReturnValue(undefined);
    await follow(`${path}#secret`);
    await waitFor(() => expect(globalThis.location.hash).toBe(""));
    expect(warn.mock.calls.map(String).filter((text) => text.includes("while rendering"))).toEqual([]);
    warn.mockRestore();
  });

  it.each([
    ["that was used", USED],
    ["that is too long", TOO_LONG],
  ])("with a secret %s", async (_, answer) => {
    server.use(
      http.post("/api/v1/invitations/show", ({ response }) => response.untyped(answer.clone())),
      http.post("/api/v1/auth/email/verify", ({ response }) => response.untyped(answer.clone())),
      http.post("/api/v1/auth/password/reset", ({ response }) => response.untyped(answer.clone())),
    );
    await follow(`${path}#secret`);
    expect(await screen.findByRole("heading", { name: title })).toBeTruthy();
    expect(screen.getByRole("alert").textContent).toMatch(nextStep);
    expect(screen.queryByText("token")).toBeNull();
  });
});

/** The secrets that were sent to the server. */
function sentSecrets(api: string): unknown[] {
  const sent = requests.filter(({ url }) => url.pathname === api);
  return sent.map(({ body }) => (body as { token?: string } | null)?.token);
}

describe.each(PAGES)("%s, when another link is pasted into its tab", (path, api, title) => {
  it("forgets what was wrong with the first one and uses the second", async () => {
    server.use(
      http.post("/api/v1/invitations/show", ({ response }) => response.untyped(USED.clone())),
      http.post("/api/v1/auth/email/verify", ({ response }) => response.untyped(USED.clone())),
      http.post("/api/v1/auth/password/reset", ({ response }) => response.untyped(USED.clone())),
    );
    await follow(`${path}#first`);
    await screen.findByRole("heading", { name: title });

    globalThis.location.hash = "second";
    await waitFor(() => expect(globalThis.location.hash).toBe(""));
    const password = screen.queryByLabelText(/^New password/);
    if (password) await userEvent.type(password, "a good long password{Enter}");
    await waitFor(() => expect(sentSecrets(api)).toEqual(["first", "second"]));
  });
});

it("an error that is not the link's fault can be tried again", async () => {
  server.use(http.post("/api/v1/auth/email/verify", ({ response }) => response.untyped(refusal(503))));
  await follow("/verify-email#secret");
  expect(await screen.findByRole("button", { name: "Try again" })).toBeTruthy();
});
