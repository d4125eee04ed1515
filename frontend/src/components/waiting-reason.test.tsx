// @vitest-environment jsdom
import { cleanup, render } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import type { RunRow } from "@/api/types";
import { WaitingReason } from "./waiting-reason";

afterEach(cleanup);

function show(changes: Partial<RunRow>) {
  const run = { status: "pending", not_before: null, attempt: 0, waiting_reason: null, ...changes } as RunRow;
  return render(<WaitingReason run={run} />).container;
}

/** A time that is five and a half minutes away. */
function later(): string {
  return new Date(Date.now() + 330_000).toISOString();
}

describe("why a run waits", () => {
  it("is when its next attempt starts, with the exact time in the viewer's zone", () => {
    const container = show({
      not_before: later(),
      attempt: 1,
      waiting_reason: "waiting for its next attempt",
    });
    expect(container.textContent).toBe("next attempt in 5 min.");
    expect(container.querySelector("time")!.title).not.toBe("");
  });

  it("is when it starts, if it has no attempt yet", () => {
    expect(show({ not_before: later() }).textContent).toBe("starts in 5 min.");
  });

  it("is the reason of the server as soon as that time has passed", () => {
    const run = { not_before: "2020-11-29T06:00:00Z", attempt: 1, waiting_reason: "org limit 2/2" };
    expect(show(run).textContent).toBe("org limit 2/2");
  });

  it("is a worker that is free, if the run starts at this moment", () => {
    expect(show({}).textContent).toBe("waiting for a worker");
  });

  it("is nothing for a run that does not wait", () => {
    expect(show({ status: "running" }).textContent).toBe("");
  });
});
