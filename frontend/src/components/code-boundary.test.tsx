// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { http as untyped, HttpResponse } from "msw";
import { lazy, Suspense } from "react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { startServer } from "@/test-server";
import { CodeBoundary, CodeNotLoadedNotice } from "./code-boundary";
import { loadCode, reloadOnce } from "./lazy-code";

const server = startServer();

afterEach(() => {
  cleanup();
  document.head.innerHTML = "";
  sessionStorage.clear();
});

/** The page that the server has now. */
function serverHas(page: HttpResponse<string>) {
  server.use(untyped.get("*", () => page));
}

function withStartScript(src: string) {
  document.head.innerHTML = `<script type="module" src="${src}"></script>`;
}

describe("code that cannot be loaded", () => {
  it("is replaced by a fallback, and the rest of the page stays", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const Missing = lazy(
      loadCode(async (): Promise<{ default: () => null }> => {
        throw new TypeError("Failed to fetch dynamically imported module");
      }),
    );
    render(
      <>
        <p>The form</p>
        <CodeBoundary fallback="A plain editor">
          <Suspense fallback="Loading">
            <Missing />
          </Suspense>
        </CodeBoundary>
      </>,
    );
    expect(await screen.findByText("A plain editor")).toBeTruthy();
    expect(screen.getByText("The form")).toBeTruthy();
  });

  it("says that the server cannot be reached, and offers to reload", async () => {
    server.use(untyped.get("*", () => HttpResponse.error()));
    render(<CodeNotLoadedNotice />);
    expect(await screen.findByText(/server cannot be reached/)).toBeTruthy();
    expect(screen.getByRole("button", { name: "Reload" })).toBeTruthy();
  });

  it("does not blame an update if the start script is the same", async () => {
    withStartScript("/static/assets/index-1.js");
    serverHas(HttpResponse.html('<script src="/static/assets/index-1.js">'));
    render(<CodeNotLoadedNotice />);
    expect(await screen.findByText(/If the error persists/)).toBeTruthy();
  });

  it("is an update if the start script differs; a second reload needs the user", async () => {
    withStartScript("/static/assets/index-1.js");
    expect(reloadOnce(() => undefined)).toBe(true); // the page has been reloaded, and is still the old one
    serverHas(HttpResponse.html('<script src="/static/assets/index-2.js">'));
    render(<CodeNotLoadedNotice />);
    expect(await screen.findByText(/Drover was updated/)).toBeTruthy();
  });

  it("reloads the page once per release", () => {
    withStartScript("/static/assets/index-1.js");
    const reload = vi.fn();
    expect([reloadOnce(reload), reloadOnce(reload)]).toEqual([true, false]);
    withStartScript("/static/assets/index-2.js");
    expect(reloadOnce(reload)).toBe(true);
    expect(reload).toHaveBeenCalledTimes(2);
  });
});
