// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { act } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ProblemError } from "@/api/problem";
import { ActionErrors, clearErrors, showError, showSuccess, Toasts } from "./toast";

const FAILURE = new ProblemError(500, null, new Headers({ "X-Request-ID": "4f2a90c1" }));

beforeEach(() => {
  render(
    <>
      <ActionErrors />
      <Toasts />
    </>,
  );
});
afterEach(() => {
  act(clearErrors);
  cleanup();
});

it("an error of an action stays in the page with its request id and its link until it is dismissed", async () => {
  vi.useFakeTimers();
  act(() => showError(FAILURE, <a href="/runs/r1">Open the run</a>));
  act(() => vi.advanceTimersByTime(60_000));
  vi.useRealTimers();
  expect(screen.getByRole("alert").textContent).toContain("4f2a90c1");
  expect(screen.getByRole("link", { name: "Open the run" })).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: "Dismiss" }));
  expect(screen.queryByRole("alert")).toBeNull();
});

it("a success is a message that disappears", () => {
  vi.useFakeTimers();
  act(() => showSuccess("Saved."));
  expect(screen.getByText("Saved.")).toBeTruthy();
  act(() => vi.advanceTimersByTime(8_000));
  vi.useRealTimers();
  expect(screen.queryByText("Saved.")).toBeNull();
});
