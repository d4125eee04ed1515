// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startApp } from "@/test-app";
import { http, refusal, startServer } from "@/test-server";
import { ScheduleStep } from "./schedule-step";

const MESSAGE = "The minute must be from 0 to 59.";

startServer(
  http.post("/api/v1/schedules/preview", async ({ request, response }) => {
    const { schedule } = await request.json();
    if (!JSON.stringify(schedule).includes("61 9")) {
      return response(200).json({
        times: ["2026-11-30T09:01:00Z"],
        timezone: "UTC",
        after_blackout: [],
        clock_changes: [],
      });
    }
    const errors = [{ field: "schedule.cron", message: MESSAGE, code: "invalid" }];
    return response.untyped(refusal(422, { errors }));
  }),
);

beforeEach(() => startApp(["read", "pipelines.edit"]));
afterEach(cleanup);

async function typeCron(cron: string) {
  const onDone = vi.fn();
  render(
    <QueryClientProvider client={new QueryClient()}>
      <ScheduleStep schedule={{ cron: "0 6 1 * *", timezone: "UTC" }} errors={{}} onDone={onDone} />
    </QueryClientProvider>,
  );
  const field = screen.getByLabelText(/Cron expression/);
  await userEvent.clear(field);
  await userEvent.type(field, cron);
  return onDone;
}

describe("the schedule of a new pipeline", () => {
  it("61 9 * * * is refused where it was typed, with the server's reason", async () => {
    const onDone = await typeCron("61 9 * * *");
    expect(await screen.findByText(MESSAGE)).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Continue" }));
    expect(onDone).not.toHaveBeenCalled();
  });

  it("1 9 * * * is accepted", async () => {
    const onDone = await typeCron("1 9 * * *");
    await screen.findByText(/30 Nov/);
    await userEvent.click(screen.getByRole("button", { name: "Continue" }));
    expect(onDone).toHaveBeenCalledWith({ cron: "1 9 * * *", timezone: "UTC" });
  });
});
