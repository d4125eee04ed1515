// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { NO_PATTERNS } from "@/format/patterns";
import { PatternMatches } from "./pattern-matches";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

it("a stream that matches and is ignored is not shown as one that is read", async () => {
  const streams = ["shop.orders", "shop.returns"].map((stream) => ({
    stream,
    table: stream.replace(".", "_"),
    sync_mode: "full_refresh",
    cursor_field: null,
    primary_key: [],
  }));
  vi.stubGlobal("fetch", async () => Response.json({ ok: true, streams, total: 2, failure: null }));
  render(
    <QueryClientProvider client={new QueryClient()}>
      <PatternMatches
        connectorId="c"
        values={{ ...NO_PATTERNS, match: "shop.*" }}
        ignored={["shop.returns"]}
      />
    </QueryClientProvider>,
  );
  const rows = (await screen.findAllByRole("listitem")).map((row) => row.textContent);
  expect(rows).toEqual(["shop.orders to shop_orders · Full refresh", "shop.returns is ignored"]);
});
