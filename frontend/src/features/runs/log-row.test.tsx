// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, describe, expect, it } from "vitest";
import { LogRow, openHeight } from "./log-row";

afterEach(cleanup);

const ignore = () => undefined;

function Row({ message, searched = "" }: { message: string; searched?: string }) {
  const line = { line: 0, at: "2026-03-01T06:00:00Z", level: "error" as const, message, fields: {} };
  const [isOpen, setIsOpen] = useState(false);
  return (
    <LogRow
      line={line}
      numberWidth="2ch"
      top={0}
      isMarked={false}
      searched={searched}
      openedHeight={isOpen ? openHeight(line) : null}
      position={0}
      onToggle={() => setIsOpen(!isOpen)}
      onMark={ignore}
    />
  );
}

describe("a line of the log with one megabyte", () => {
  const MEGABYTE = "x".repeat(1_000_000);

  it("is cut to its beginning, and says how long it is", () => {
    const { container } = render(<Row message={MEGABYTE} searched="x" />);
    expect(container.textContent.length).toBeLessThan(1_200);
    expect(screen.getByRole("button", { name: "Show all of line 1" }).textContent).toMatch(
      /^1\.0\s?MB in all$/,
    );
  });

  it("is shown as a whole when it is opened, in an area of limited height", async () => {
    render(<Row message={MEGABYTE} />);
    await userEvent.click(screen.getByRole("button", { name: "Show all of line 1" }));
    const area = screen.getByLabelText("All of line 1");
    expect(area.textContent).toHaveLength(1_000_000);
    expect(parseInt(area.style.height)).toBeLessThan(400);
    expect(area.tabIndex).toBe(0);
  });
});

it("a line from right to left has its own direction, and its number and time stay on the left", () => {
  render(<Row message="فشل الاتصال 🛒" />);
  expect(screen.getByText("فشل الاتصال 🛒").closest("[dir=auto]")).toBeTruthy();
  expect(screen.getByTitle("Link to this line").closest("[dir=auto]")).toBeNull();
});
