// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it } from "vitest";
import type { LeftOut, Run } from "@/api/types";
import { LeftOutCard } from "./left-out-card";
import { leftOutQuery, type LeftOutKind } from "./queries";

afterEach(cleanup);

function pageOf(kind: LeftOutKind, reason: string, record: string | null): LeftOut {
  const results = [{ number: 0, reason, position: "page 1, record 2", record, complete: true }];
  return { kind, count: 1, kept: 1, results, next_offset: null, note: record === null ? "Hidden." : "" };
}

function show(rejected: number, skipped: number, pages: LeftOut[] = []) {
  const run = { id: "r1", status: "failed", progress: { rejected, skipped } } as Run;
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } });
  for (const page of pages)
    client.setQueryData(leftOutQuery("r1", page.kind, "failed").queryKey, { pages: [page], pageParams: [0] });
  render(
    <QueryClientProvider client={client}>
      <LeftOutCard run={run} />
    </QueryClientProvider>,
  );
}

describe("the records that a run left out", () => {
  it("are explained if there are none", () => {
    show(0, 0);
    expect(screen.getByText("No record was left out")).toBeTruthy();
    expect(screen.getByText(/a transform returns None, are skipped/)).toBeTruthy();
  });

  it("are shown with their reason and position, one kind at a time", async () => {
    show(1, 1, [
      pageOf("rejected", "not an object", "[0]"),
      pageOf("skipped", "the transform returned nothing", '{"id": 1}'),
    ]);
    expect(screen.getByText("not an object")).toBeTruthy();
    expect(screen.getByText("page 1, record 2")).toBeTruthy();
    expect(screen.getByText("[0]")).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Skipped 1" }));
    expect(screen.getByText('{"id": 1}')).toBeTruthy();
  });

  it("are shown without their values to a viewer", () => {
    show(1, 0, [pageOf("rejected", "not an object", null)]);
    expect(screen.getByText("not an object")).toBeTruthy();
    expect(screen.getByText(/Hidden\./)).toBeTruthy();
  });
});
