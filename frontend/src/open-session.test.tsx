// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http as untyped } from "msw";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endSession } from "./api/session";
import { currentPath, currentSearch, openPage, startApp } from "./test-app";
import { EMPTY_LISTS, http, startServer } from "./test-server";

startServer(
  untyped.get("*/api/v1/stats/*", () => new Promise(() => undefined)), // it is still loading
  http.post("/api/v1/auth/logout", ({ response }) => response(204).empty()),
  EMPTY_LISTS,
);

beforeEach(() => startApp(["read"]));
afterEach(cleanup);

async function logOutOn(path: string) {
  await openPage(path);
  await userEvent.click(await screen.findByRole("button", { name: /Your account|Ada/ }));
  await screen.findByText("Drover 1.4.0");
  await userEvent.click(await screen.findByRole("menuitem", { name: "Log out" }));
  await waitFor(() => expect(currentPath()).toBe("/login"));
}

describe.each(["/login", "/signup"])("%s of a user who is logged in", (form) => {
  it("opens the wanted page", async () => {
    await openPage(`${form}?next=${encodeURIComponent("/runs?status=failed")}`);
    expect(currentPath()).toBe("/runs");
    expect(currentSearch()).toEqual({ status: "failed" });
  });

  it("opens the overview if no page is wanted", async () => {
    await openPage(form);
    expect(currentPath()).toBe("/");
  });
});

it("/login shows a problem of the log-in through a provider also with a session", async () => {
  await openPage("/login?problem=linked_elsewhere");
  expect(await screen.findByText(/linked to another account/)).toBeTruthy();
});

describe("without a session", () => {
  it.each(["/login", "/signup"])("%s shows its form", async (form) => {
    endSession();
    await openPage(form);
    expect(currentPath()).toBe(form);
    expect(await screen.findByLabelText(/^Password/)).toBeTruthy();
  });

  it("the next user does not return to the page on which the last one logged out", async () => {
    await logOutOn("/runs");
    expect(currentSearch()).toEqual({});
  });

  it("nothing is kept in the tab of what the last user has typed", async () => {
    sessionStorage.setItem(
      "drover.kept.new-connector.source",
      '{"owner":"u1/o1","value":{"kind":"postgres"}}',
    );
    await logOutOn("/runs");
    expect(Object.keys(sessionStorage).filter((key) => key.startsWith("drover.kept."))).toEqual([]);
  });
});
