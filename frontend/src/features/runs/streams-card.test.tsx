// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it } from "vitest";
import type { Run, RunStream, RunStreamPage } from "@/api/types";
import { streamsQuery } from "./queries";
import { StreamsCard } from "./streams-card";

afterEach(cleanup);

function stream(position: number, changes: Partial<RunStream> = {}): RunStream {
  return {
    position,
    stream: `public.t${position}`,
    table: `t${position}`,
    status: "succeeded",
    read: 10,
    written: 9,
    rejected: 1,
    skipped: 0,
    bytes: 100,
    total: null,
    cursor_before: null,
    cursor_after: null,
    snapshot_at: null,
    started_at: null,
    finished_at: null,
    duration_seconds: 1.5,
    failure: null,
    ...changes,
  };
}

const FAILURE: RunStream["failure"] = {
  class: "configuration",
  message: "there is no table t1",
  evidence: [],
  retryable: false,
  next_step: "",
  sides: [],
  setting: null,
};

function show(streams: RunStream[], moments: RunStreamPage["moments"] = []) {
  const { card, client } = prepare(streams, moments);
  render(card);
  return client;
}

function prepare(
  streams: RunStream[],
  moments: RunStreamPage["moments"] = [],
  client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } }),
) {
  const failed = streams.filter((each) => each.status === "failed").length;
  const run = {
    id: "r1",
    status: "failed",
    streams_total: streams.length,
    streams_failed: failed,
    streams_succeeded: streams.length - failed,
  } as Run;
  const page: RunStreamPage = { results: streams, count: streams.length, next_offset: null, moments };
  client.setQueryData(streamsQuery("r1", "all", false).queryKey, { pages: [page], pageParams: [0] });
  const card = (
    <QueryClientProvider client={client}>
      <StreamsCard run={run} />
    </QueryClientProvider>
  );
  return { card, client };
}

describe("the streams of a run", () => {
  it("say that the records of a failed stream are only staged, and nothing of others", () => {
    show([stream(0), stream(1, { status: "failed", failure: FAILURE })]);
    const [, succeeded, failed] = screen.getAllByRole("row");
    expect(within(failed!).getByText("staged").title).toMatch(/^Staged, not published/);
    expect(within(succeeded!).queryByText("staged")).toBeNull();
  });

  it("say whether they were read in one snapshot", () => {
    show([stream(0)], [{ at: "2026-03-01T06:00:00Z", streams: 1 }]);
    expect(screen.getByText(/Read in one snapshot/)).toBeTruthy();
    cleanup();
    show(
      [stream(0)],
      [
        { at: "2026-03-01T06:00:00Z", streams: 1 },
        { at: null, streams: 2 },
      ],
    );
    expect(screen.getByText(/different moments/)).toBeTruthy();
    cleanup();
    show([stream(0)], [{ at: null, streams: 3 }]);
    expect(screen.queryByText(/snapshot|moments/)).toBeNull();
  });

  it("are shown with their status, counts and failures", () => {
    show([stream(0), stream(1, { status: "failed", failure: FAILURE, written: 0 })]);
    expect(screen.getByText("1 of 2 succeeded")).toBeTruthy();
    const row = screen.getByText("public.t1").closest("tr")!;
    expect(within(row).getByText("Failed")).toBeTruthy();
    const why = within(row.nextElementSibling as HTMLElement).getByText(/there is no table t1/);
    expect(why.textContent).toBe("Configuration: there is no table t1");
    expect(screen.getByRole("button", { name: "Failed 1" })).toBeTruthy();
  });

  it("that were not begun, because another has failed, are not started", () => {
    show([
      stream(0, { status: "failed", failure: FAILURE }),
      stream(1, { status: "cancelled" }),
      stream(2, { status: "cancelled", started_at: "2026-03-01T06:00:00Z" }),
    ]);
    const words = [1, 2].map((number) => screen.getByText(`public.t${number}`).closest("tr")!.textContent);
    expect(words[0]).toContain("Not started");
    expect(words[1]).toContain("Cancelled");
  });

  it("are all shown after a retry that leaves no failed stream, also if only failed ones were chosen", async () => {
    const failed = stream(1, { status: "failed", failure: FAILURE });
    const { card, client } = prepare([stream(0), failed]);
    client.setQueryData(streamsQuery("r1", "failed", false).queryKey, {
      pages: [{ results: [failed], count: 1, next_offset: null, moments: [] }],
      pageParams: [0],
    });
    const { rerender } = render(card);
    await userEvent.click(screen.getByRole("button", { name: "Failed 1" }));
    expect(screen.queryByText("public.t0")).toBeNull();
    rerender(prepare([stream(0), stream(1)], [], client).card);
    expect(screen.getByText("public.t0")).toBeTruthy();
    expect(screen.getByText("public.t1")).toBeTruthy();
  });

  it("say how far an incremental stream was read", () => {
    const position = (after: string) => ({ after: [after], cursor_field: "id" });
    show([
      stream(0, { cursor_after: position("20") }),
      stream(1, { cursor_before: position("20"), cursor_after: position("25") }),
      stream(2, { cursor_before: position("20"), cursor_after: position("20") }),
    ]);
    expect(screen.getByText("Read up to 20")).toBeTruthy();
    expect(screen.getByText("Read from 20 to 25")).toBeTruthy();
    expect(screen.getByText("public.t2").closest("td")!.textContent).not.toContain("Read");
  });

  it("need no filter if none has failed", () => {
    show([stream(0), stream(1)]);
    expect(screen.queryByRole("button", { name: /Failed/ })).toBeNull();
  });
});
