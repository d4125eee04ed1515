// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";
import type { Schedule } from "@/format/schedule";
import { ScheduleFields } from "./schedule-fields";

afterEach(cleanup);

function show(schedule: Schedule | null, usesLocalTime = false) {
  const onChange = vi.fn();
  render(
    <ScheduleFields schedule={schedule} onChange={onChange} errors={{}} usesLocalTime={usesLocalTime} />,
  );
  return onChange;
}

it("lets the user choose each weekday, or some days, without a cron expression", async () => {
  const onChange = show({ cron: "0 8 * * *", timezone: "UTC" });
  await userEvent.selectOptions(screen.getByLabelText("Schedule"), "Days of the week");
  expect(onChange).toHaveBeenLastCalledWith({ cron: "0 8 * * 1-5", timezone: "UTC" });
  for (const day of ["Tuesday", "Wednesday", "Friday"]) await userEvent.click(screen.getByLabelText(day));
  expect(onChange).toHaveBeenLastCalledWith({ cron: "0 8 * * 1,4", timezone: "UTC" });
  await userEvent.click(screen.getByLabelText("Sunday"));
  expect(onChange).toHaveBeenLastCalledWith({ cron: "0 8 * * 1,4,0", timezone: "UTC" });
});

it("shows the days of a saved schedule, of which one has to stay", () => {
  show({ cron: "30 7 * * 0", timezone: "UTC" });
  const sunday = screen.getByLabelText<HTMLInputElement>("Sunday");
  expect([sunday.checked, sunday.disabled]).toEqual([true, true]);
  expect(screen.getByLabelText<HTMLInputElement>("Monday").checked).toBe(false);
  expect(screen.getByLabelText<HTMLInputElement>("Time").value).toBe("07:30");
});

it("asks for the time zone of an interval only if something else of the schedule depends on it", async () => {
  show({ interval_seconds: 3600, timezone: "UTC" });
  expect(screen.queryByLabelText("Time zone")).toBeNull();
  cleanup();
  const onChange = show({ interval_seconds: 3600, timezone: "UTC" }, true);
  await userEvent.selectOptions(screen.getByLabelText("Time zone"), "Europe/Berlin");
  expect(onChange).toHaveBeenLastCalledWith({ interval_seconds: 3600, timezone: "Europe/Berlin" });
});

it("keeps the time if its field is emptied, instead of choosing midnight", () => {
  const onChange = show({ cron: "30 7 * * *", timezone: "UTC" });
  const time = screen.getByLabelText<HTMLInputElement>("Time");
  fireEvent.change(time, { target: { value: "" } });
  expect(onChange).not.toHaveBeenCalled();
  expect(time.value).toBe("07:30");
});
