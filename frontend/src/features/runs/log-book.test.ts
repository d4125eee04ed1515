import { describe, expect, it } from "vitest";
import type { LogLine } from "@/api/types";
import { fieldsText, LogBook } from "./log-book";

const line = (message: string, level: LogLine["level"] = "info"): LogLine => ({
  at: "2026-11-22T10:00:00Z",
  level,
  message,
  fields: {},
});
const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => line(`line ${from + index}`));
const texts = (book: LogBook) => book.lines.map(({ message }) => message);
const expected = (count: number) => lines(0, count).map(({ message }) => message);

describe("the log book", () => {
  it("begins after the lines that were removed for age", () => {
    const book = new LogBook();
    book.begin(100);
    expect(book.add(100, lines(0, 3))).toBe(false);
    expect(book.add(102, lines(2, 5))).toBe(false);
    expect(texts(book)).toEqual(expected(5));
    expect([book.start, book.end]).toEqual([100, 105]);
  });

  it("keeps each line once and in order when pages and stream overlap", () => {
    const book = new LogBook();
    expect(book.add(0, lines(0, 10))).toBe(false);
    expect(book.add(5, lines(5, 15))).toBe(false);
    expect(book.add(2, lines(2, 4))).toBe(false);
    expect(texts(book)).toEqual(expected(15));
  });

  it("says that lines are missing and joins when they come", () => {
    const book = new LogBook();
    expect(book.add(20, lines(20, 30))).toBe(true);
    expect(book.add(30, lines(30, 35))).toBe(true);
    expect(book.lines).toHaveLength(0);
    expect(book.add(0, lines(0, 12))).toBe(true);
    expect(book.lines).toHaveLength(12);
    expect(book.add(12, lines(12, 22))).toBe(false);
    expect(texts(book)).toEqual(expected(35));
  });

  it("finds the first error, also when it arrives early", () => {
    const book = new LogBook();
    book.add(2, [line("late", "error")]);
    expect(book.firstError).toBeNull();
    book.add(0, [line("fine"), line("bad", "error")]);
    expect(book.firstError).toBe(1);
  });

  it("filters by level and by text in message or fields, and extends a filter as lines come", () => {
    const book = new LogBook();
    book.add(0, [
      line("Staged a batch"),
      line("slow page", "warning"),
      { ...line("x"), fields: { table: "Flights" } },
    ]);
    const flights = { level: "debug" as const, text: "flights" };
    expect(book.matching(flights)).toEqual([2]);
    expect(book.matching({ level: "warning", text: "" })).toEqual([1]);
    const before = book.matching(flights);
    expect(book.matching(flights)).toBe(before);
    book.add(3, [line("FLIGHTS done")]);
    expect(book.matching(flights)).toEqual([2, 3]);
  });

  it("writes fields as key=value", () => {
    expect(fieldsText({ ...line("x"), fields: { rows: 5, table: "a", nested: { b: 1 } } })).toBe(
      'rows=5 table=a nested={"b":1}',
    );
    expect(fieldsText(line("x"))).toBe("");
  });
});
