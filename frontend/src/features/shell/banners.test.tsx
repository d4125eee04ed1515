// @vitest-environment jsdom
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { noticeRelease } from "@/api/release";
import { Banners } from "./banners";

afterEach(cleanup);

it("says that the browser is offline until it is online again", () => {
  const onLine = vi.spyOn(navigator, "onLine", "get").mockReturnValue(true);
  render(<Banners />);
  expect(screen.queryByRole("status")).toBeNull();
  onLine.mockReturnValue(false);
  act(() => void dispatchEvent(new Event("offline")));
  expect(screen.getByRole("status").textContent).toContain("You are offline.");
  onLine.mockReturnValue(true);
  act(() => void dispatchEvent(new Event("online")));
  expect(screen.queryByRole("status")).toBeNull();
});

it("offers to reload when a response names another release than the first response", () => {
  render(<Banners />);
  act(() => ["one", null, "one"].forEach(noticeRelease));
  expect(screen.queryByRole("status")).toBeNull();
  act(() => noticeRelease("two"));
  expect(screen.getByRole("button", { name: "Reload" })).toBeTruthy();
});
