import { useEffect, useState, useSyncExternalStore } from "react";
import type { LogFeed } from "./live-run";
import { LogLines, type Level } from "./log-lines";

/** The lines of a run's log that match, kept up to date while the run is live. They are fetched when they are looked at. */
export function useLogLines(
  { runId, feed, total }: { runId: string; feed: LogFeed; total: number },
  level: Level,
  text: string,
): LogLines {
  const [lines, setLines] = useState(() => new LogLines(runId, { level, text }));
  if (lines.filter.level !== level || lines.filter.text !== text) {
    setLines(new LogLines(runId, { level, text }));
  }
  useEffect(() => lines.start(), [lines]);
  useEffect(() => feed.subscribe((first, added) => lines.add(first, added)), [feed, lines]);
  useEffect(() => lines.grow(total), [lines, total]);
  useSyncExternalStore(lines.subscribe, lines.getVersion);
  return lines;
}
