// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { NO_PATTERNS } from "@/format/patterns";
import { http, part, startServer } from "@/test-server";
import { PatternMatches } from "./pattern-matches";

startServer(
  http.post("/api/v1/pipelines/match", ({ response }) => {
    const streams = ["shop.orders", "shop.returns"].map((stream) => ({
      stream,
      table: stream.replace(".", "_"),
      sync_mode: "full_refresh" as const,
      cursor_field: null,
      primary_key: [],
    }));
    return response(200).json(part({ ok: true, streams, total: 2, failure: null }));
  }),
);
afterEach(cleanup);

it("a stream that matches and is ignored is not shown as one that is read", async () => {
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
