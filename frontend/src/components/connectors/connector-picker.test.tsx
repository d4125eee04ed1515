// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { http, part, startServer } from "@/test-server";
import { ConnectorPicker } from "./connector-picker";

startServer(
  http.get("/api/v1/catalog/sources", ({ response }) =>
    response(200).json(part({ results: [{ kind: "postgres", name: "PostgreSQL", description: "Tables." }] })),
  ),
);
afterEach(cleanup);

it("the choice of a source has logos, which screen readers skip because the name is beside them", async () => {
  render(
    <QueryClientProvider client={new QueryClient()}>
      <ConnectorPicker role="source" onSelectKind={() => undefined} />
    </QueryClientProvider>,
  );
  const tile = await screen.findByRole("button", { name: /^PostgreSQL/ });
  expect(tile.querySelector("svg")!.getAttribute("aria-hidden")).toBe("true");
  expect(screen.queryByRole("img")).toBeNull();
});
