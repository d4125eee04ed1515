/** Renders the whole front end in jsdom, for tests of behaviour that several pages share. */
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { configure, render } from "@testing-library/react";
import { vi } from "vitest";
import type { Permission } from "./api/types";
import { queryClient } from "./query-client";
import { router } from "./router";
import { logIn } from "./test-server";

configure({ asyncUtilTimeout: 30_000 }); // a page is loaded when it is opened for the first time

/** Logs in as a user with these permissions. The server of the test answers the requests. */
export function startApp(permissions: Permission[]) {
  addMissingBrowserParts();
  queryClient.clear();
  logIn(permissions);
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

/** Does what the browser's button Back does. */
export function goBack() {
  router.history.back();
}

/** The path of the address that the app shows. */
export function currentPath(): string {
  return router.state.location.pathname;
}

/** The parameters of the address that the app shows. */
export function currentSearch(): object {
  return router.state.location.search;
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
  Range.prototype.getClientRects = () => [] as unknown as DOMRectList;
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function () {
    this.open = false;
  };
}
