/** Renders the whole front end in jsdom, for tests of behaviour that several pages share. */
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { configure, render } from "@testing-library/react";
import { vi } from "vitest";
import { startSession } from "./api/session";
import type { Session } from "./api/types";
import { queryClient } from "./query-client";
import { router } from "./router";

configure({ asyncUtilTimeout: 30_000 }); // a page is loaded when it is opened for the first time

/** Logs in as a user with these permissions, and answers requests with `answer`. */
export function startApp(permissions: string[], answer: (request: Request) => Promise<Response> | Response) {
  vi.stubGlobal("fetch", async (input: Request | string | URL) =>
    answer(input instanceof Request ? input : new Request(new URL(input, location.href))),
  );
  addMissingBrowserParts();
  queryClient.clear();
  const organization = { id: "o1", name: "Acme", role: "owner", closed: null, permissions, domains: [] };
  startSession({
    access: "token",
    expires_in: 600,
    user: { id: "u1", name: "Ada", email: "ada@example.com" },
    organization,
  } as unknown as Session);
}

export async function openPage(path: string) {
  render(
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  );
  await goTo(path);
}

/** Opens another page, as a link does. */
export async function goTo(path: string) {
  await router.navigate({ href: path });
}

/** jsdom has no layout, media queries or modal dialogs. */
function addMissingBrowserParts() {
  const nothing = () => undefined;
  vi.stubGlobal("scrollTo", nothing);
  vi.stubGlobal("matchMedia", () => ({
    matches: false,
    addEventListener: nothing,
    removeEventListener: nothing,
  }));
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe = nothing;
      unobserve = nothing;
      disconnect = nothing;
    },
  );
  Element.prototype.scrollIntoView = nothing;
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function () {
    this.open = false;
  };
}
