// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";
import { ItemId } from "./item-id";

afterEach(cleanup);

it("copies the id of an item and the link to its page", async () => {
  const user = userEvent.setup(); // with a clipboard
  render(<ItemId id="p1" path="/pipelines/p1" />);
  await user.click(screen.getByRole("button", { name: "Copy ID" }));
  expect(await navigator.clipboard.readText()).toBe("p1");
  await user.click(screen.getByRole("button", { name: "Copy link" }));
  expect(await navigator.clipboard.readText()).toBe(`${location.origin}/pipelines/p1`);
});

it("says if the browser did not allow copying", async () => {
  const user = userEvent.setup();
  vi.spyOn(navigator.clipboard, "writeText").mockRejectedValue(new DOMException("no", "NotAllowedError"));
  render(<ItemId id="p1" path="/pipelines/p1" />);
  await user.click(screen.getByRole("button", { name: "Copy ID" }));
  expect(await screen.findByRole("button", { name: "Not copied" })).toBeTruthy();
});
