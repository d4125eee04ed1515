// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, expect, it, vi } from "vitest";
import type { BlackoutWindow } from "@/format/blackouts";
import { BlackoutFields } from "./blackout-fields";

afterEach(cleanup);

const onChange = vi.fn();

function Form({ saved, errors = {} }: { saved: BlackoutWindow[]; errors?: Record<string, string> }) {
  const [windows, setWindows] = useState(saved);
  function change(next: BlackoutWindow[]) {
    onChange(next);
    setWindows(next);
  }
  return <BlackoutFields windows={windows} onChange={change} errors={errors} />;
}

it("adds, changes and removes windows", async () => {
  render(<Form saved={[]} />);
  await userEvent.click(screen.getByRole("button", { name: "Add times of the week" }));
  expect(screen.getByRole("group", { name: "Saturday and Sunday from 22:00 to 06:00" })).toBeTruthy();
  expect(screen.getByLabelText("To (on the next day)")).toBeTruthy();
  await userEvent.click(screen.getByLabelText("Saturday"));
  const sundays = { weekdays: ["sunday"], start: "22:00", end: "06:00" };
  expect(onChange).toHaveBeenLastCalledWith([sundays]);
  await userEvent.click(screen.getByRole("button", { name: "Add days" }));
  const days = { first_day: expect.any(String) as string, last_day: expect.any(String) as string };
  expect(onChange).toHaveBeenLastCalledWith([sundays, days]);
  await userEvent.click(screen.getByRole("button", { name: "Remove Sunday from 22:00 to 06:00" }));
  expect(onChange).toHaveBeenLastCalledWith([days]);
});

it("shows an error of the server at its field", () => {
  const saved = [{ first_day: "2026-12-24", last_day: "2026-12-20" }];
  render(<Form saved={saved} errors={{ "blackouts.0.last_day": "Must not be before the first day." }} />);
  const field = screen.getByLabelText("Last day");
  expect(field.getAttribute("aria-invalid")).toBe("true");
  expect(screen.getByText("Must not be before the first day.")).toBeTruthy();
});
