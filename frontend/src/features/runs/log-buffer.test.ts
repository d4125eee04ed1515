import { describe, expect, it } from "vitest";
import type { LogLine } from "@/api/types";
import { formatFields, LogBuffer } from "./log-buffer";

const makeLine = (message: string, level: LogLine["level"] = "info"): LogLine => ({
  at: "2026-11-22T10:00:00Z",
  level,
  message,
  fields: {},
});
const makeLines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => makeLine(`line ${from + index}`));
const messagesOf = (buffer: LogBuffer) => buffer.lines.map(({ message }) => message);
const expectedMessages = (count: number) => makeLines(0, count).map(({ message }) => message);

describe("LogBuffer", () => {
  it("starts after the lines that were removed by retention", () => {
    const buffer = new LogBuffer();
    buffer.setStart(100);
    expect(buffer.add(100, makeLines(0, 3))).toBe(false);
    expect(buffer.add(102, makeLines(2, 5))).toBe(false);
    expect(messagesOf(buffer)).toEqual(expectedMessages(5));
    expect([buffer.start, buffer.end]).toEqual([100, 105]);
  });

  it("stores each line once and in order if pages and stream overlap", () => {
    const buffer = new LogBuffer();
    expect(buffer.add(0, makeLines(0, 10))).toBe(false);
    expect(buffer.add(5, makeLines(5, 15))).toBe(false);
    expect(buffer.add(2, makeLines(2, 4))).toBe(false);
    expect(messagesOf(buffer)).toEqual(expectedMessages(15));
  });

  it("reports missing lines, and appends later lines when the missing ones arrive", () => {
    const buffer = new LogBuffer();
    expect(buffer.add(20, makeLines(20, 30))).toBe(true);
    expect(buffer.add(30, makeLines(30, 35))).toBe(true);
    expect(buffer.lines).toHaveLength(0);
    expect(buffer.add(0, makeLines(0, 12))).toBe(true);
    expect(buffer.lines).toHaveLength(12);
    expect(buffer.add(12, makeLines(12, 22))).toBe(false);
    expect(messagesOf(buffer)).toEqual(expectedMessages(35));
  });

  it("finds the first error, even if a later error arrives first", () => {
    const buffer = new LogBuffer();
    buffer.add(2, [makeLine("late", "error")]);
    expect(buffer.firstErrorIndex).toBeNull();
    buffer.add(0, [makeLine("fine"), makeLine("bad", "error")]);
    expect(buffer.firstErrorIndex).toBe(1);
  });

  it("filters by level and by text in the message or the fields, also for lines that are added later", () => {
    const buffer = new LogBuffer();
    buffer.add(0, [
      makeLine("Staged a batch"),
      makeLine("slow page", "warning"),
      { ...makeLine("x"), fields: { table: "Flights" } },
    ]);
    const flights = { level: "debug" as const, text: "flights" };
    expect(buffer.matchingIndexes(flights)).toEqual([2]);
    expect(buffer.matchingIndexes({ level: "warning", text: "" })).toEqual([1]);
    const firstResult = buffer.matchingIndexes(flights);
    expect(buffer.matchingIndexes(flights)).toBe(firstResult);
    buffer.add(3, [makeLine("FLIGHTS done")]);
    expect(buffer.matchingIndexes(flights)).toEqual([2, 3]);
  });

  it("formats fields as key=value", () => {
    expect(formatFields({ ...makeLine("x"), fields: { rows: 5, table: "a", nested: { b: 1 } } })).toBe(
      'rows=5 table=a nested={"b":1}',
    );
    expect(formatFields(makeLine("x"))).toBe("");
  });
});
