// @vitest-environment jsdom
import { HttpResponse } from "msw";
import { describe, expect, it, vi } from "vitest";
import { startSession } from "@/api/session";
import type { LogLine, Session } from "@/api/types";
import { http, startServer } from "@/test-server";
import { formatFields, LogLines, NO_FILTER, type LogFilter } from "./log-lines";

const PART_SIZE = 700; // lines
let total = 1_000_000;
let requests: string[] = [];

const levelOf = (number: number): LogLine["level"] => (number % 5_000 === 4_321 ? "error" : "info");
const lineOf = (number: number) => ({
  line: number,
  at: "2026-11-22T10:00:00Z",
  level: levelOf(number),
  message: `line ${number}`,
  fields: {},
});
/** The numbers of the lines from this one on that the query asks for. */
function* matching(query: URLSearchParams, offset: number, end: number) {
  for (let number = offset; number < end; number += 1) {
    const isLevel = query.get("level") !== "error" || levelOf(number) === "error";
    if (isLevel && lineOf(number).message.includes(query.get("q") ?? "")) yield number;
  }
}

const server = startServer(
  http.get("/api/v1/runs/{id}/logs", ({ request, response }) => {
    const query = new URL(request.url).searchParams;
    requests.push(`logs ${query.get("offset")}`);
    const [offset, limit] = [Number(query.get("offset")), Number(query.get("limit"))];
    const lines = [];
    let next = total;
    for (const number of matching(query, offset, total)) {
      lines.push(lineOf(number));
      next = number + 1;
      if (lines.length === limit) break;
    }
    if (lines.length < limit) next = total;
    return response(200).json({
      offset,
      lines,
      next_offset: next < total ? next : null,
      total,
      complete: next >= total,
      removed: 0,
      note: "",
    });
  }),
  http.get("/api/v1/runs/{id}/logs/matches", ({ request, response }) => {
    const query = new URL(request.url).searchParams;
    requests.push(`matches ${query.get("offset")}`);
    const parts = [];
    const start = Number(query.get("offset"));
    const end = Math.min(total, start + 400 * PART_SIZE); // the search ends early
    for (let first = start; first < end; first += PART_SIZE) {
      const lines = Math.min(PART_SIZE, total - first);
      const matches = [...matching(query, first, first + lines)].length;
      if (matches > 0) parts.push({ first_line: first, lines, matches });
    }
    return response(200).json({ parts, next_offset: end < total ? end : null, total });
  }),
);

async function open(filter: LogFilter = NO_FILTER, lines = 1_000_000): Promise<LogLines> {
  [total, requests] = [lines, []];
  startSession({ access: "token", expires_in: 600, user: {}, organization: null } as unknown as Session);
  const log = new LogLines("r1", filter);
  log.start();
  await vi.waitFor(() => expect(log.isLoaded && !log.isSearching).toBe(true), 10_000);
  return log;
}

async function show(log: LogLines, position: number): Promise<string | undefined> {
  log.want(position, position + 1);
  await vi.waitFor(() => expect(log.at(position)).toBeDefined(), 5_000);
  return log.at(position)?.message;
}

describe("the lines of a log", () => {
  it("are fetched where somebody looks, and not before", async () => {
    const log = await open();
    expect([log.count, log.at(0)?.message]).toEqual([1_000_000, "line 0"]);
    expect(await show(log, 654_321)).toBe("line 654321");
    expect(await show(log, 999_999)).toBe("line 999999");
    expect(requests).toHaveLength(3);
  });

  it("are forgotten when many others were looked at", async () => {
    const log = await open();
    for (let position = 1_000; position < 61_000; position += 1_000) await show(log, position);
    expect(log.at(0)).toBeUndefined();
    expect(await show(log, 0)).toBe("line 0");
  });

  it("that match are found by their position among all that match", async () => {
    const log = await open({ level: "error", text: "" });
    expect(log.count).toBe(200);
    expect(await show(log, 130)).toBe("line 654321");
    const found = await open({ level: "debug", text: "line 77" });
    expect(await show(found, 1)).toBe("line 770");
    expect(await show(found, found.count - 1)).toBe("line 779999");
  });

  it("that are fast passed over are not fetched", async () => {
    const log = await open();
    for (let position = 0; position < 900_000; position += 9_000) log.want(position, position + 50);
    await show(log, 900_000);
    expect(requests.length).toBeLessThan(5);
  });

  it("of a live run are added once, also if a batch repeats them or one is missing", async () => {
    const log = await open(NO_FILTER, 100);
    log.add(
      90,
      Array.from({ length: 20 }, (_, index) => lineOf(90 + index)),
    );
    expect([log.count, log.at(109)?.message]).toEqual([110, "line 109"]);
    total = 130;
    log.add(
      120,
      Array.from({ length: 10 }, (_, index) => lineOf(120 + index)),
    );
    expect(log.count).toBe(130);
    expect(await show(log, 115)).toBe("line 115");
  });

  it("of a live run are filtered like those of the server", async () => {
    const log = await open({ level: "warning", text: "LOST" }, 100);
    log.add(100, [
      { ...lineOf(100), level: "error", message: "the connection was lost" },
      { ...lineOf(101), level: "error", fields: { host: "Lost" } },
      { ...lineOf(102), level: "info", message: "lost" },
    ]);
    expect([log.count, log.total]).toEqual([2, 103]);
    expect(log.at(1)?.line).toBe(101);
  });

  it("can be fetched again after an error", async () => {
    const log = await open();
    server.use(http.get("/api/v1/runs/{id}/logs", () => HttpResponse.error()));
    log.want(5_000, 5_001);
    await vi.waitFor(() => expect(log.error).not.toBeNull());
    server.resetHandlers();
    log.retry();
    expect(await show(log, 5_000)).toBe("line 5000");
    expect(log.error).toBeNull();
  });
});

it("the fields of a line are shown as key=value", () => {
  const line = { at: "", level: "info" as const, message: "x" };
  expect(formatFields({ ...line, fields: { rows: 5, table: "a", nested: { b: 1 } } })).toBe(
    'rows=5 table=a nested={"b":1}',
  );
  expect(formatFields({ ...line, fields: {} })).toBe("");
});
