// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StreamInfo } from "@/api/types";
import { StreamTable } from "./stream-table";

const HEIGHT = 448; // pixels of the box in which the table scrolls
const ROW_HEIGHT = 50; // pixels

function infos(count: number): StreamInfo[] {
  return Array.from({ length: count }, (_, number) => ({
    name: `sales.t${String(number).padStart(4, "0")}`,
    fields: [],
    sync_modes: ["full_refresh"],
    cursor_fields: [],
    primary_key: [],
  }));
}

function show(count: number) {
  render(
    <StreamTable
      streams={infos(count)}
      chosen={new Map()}
      open={new Set()}
      errors={{}}
      onToggleAll={vi.fn()}
      onToggle={vi.fn()}
      onOpen={vi.fn()}
      onChange={vi.fn()}
    />,
  );
}

const rows = () => document.querySelectorAll("tr[data-stream]");
const press = (key: string) => fireEvent.keyDown(document.activeElement!, { key });
const focusedStream = () => document.activeElement!.closest("tr")!.dataset.stream;

describe("the table of streams", () => {
  beforeEach(() => {
    // jsdom has no layout.
    vi.spyOn(Element.prototype, "clientHeight", "get").mockReturnValue(HEIGHT);
    vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(ROW_HEIGHT);
  });
  afterEach(() => {
    cleanup();
    vi.restoreAllMocks();
  });

  it("has all rows of a few streams", () => {
    show(100);
    expect(rows()).toHaveLength(100);
  });

  it("renders of many streams only the rows near those in view", () => {
    show(1000);
    expect(rows().length).toBeGreaterThan(0);
    expect(rows().length).toBeLessThan(60);
    expect(screen.getByRole("table").getAttribute("aria-rowcount")).toBe("1001");
  });

  it("moves the focus to rows that were not rendered, and keeps the row with the focus", () => {
    show(1000);
    document.querySelector<HTMLElement>("[data-choice]")!.focus();
    press("End");
    expect(focusedStream()).toBe("sales.t0999");
    press("ArrowUp");
    expect(focusedStream()).toBe("sales.t0998");
    press("Home");
    expect(focusedStream()).toBe("sales.t0000");
    expect(document.querySelectorAll("[data-choice][tabindex='0']")).toHaveLength(1);
  });
});
