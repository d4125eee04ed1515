import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { downloadFile } from "@/api/download";
import { isLive } from "@/api/run-status";
import type { Run } from "@/api/types";
import { Button } from "@/components/button";
import { DownIcon, DownloadIcon, WarningIcon } from "@/components/icons";
import { ErrorNotice } from "@/components/notice";
import { showError } from "@/components/toast";
import { formatCount, countWithNoun } from "@/format/number";
import { parseRunSearch, type RunSearch } from "./filter";
import type { LogFeed } from "./live-run";
import { NO_FILTER, type Level, type LogLines } from "./log-lines";
import { LogRows, type LogRowsHandle } from "./log-rows";
import { LogSearch } from "./log-search";
import { firstErrorQuery } from "./queries";
import { useLogLines } from "./use-log-lines";

const LEVELS: { value: Level; label: string }[] = [
  { value: "debug", label: "All levels" },
  { value: "info", label: "Info and above" },
  { value: "warning", label: "Warnings and errors" },
  { value: "error", label: "Errors only" },
];

interface Props {
  run: Run;
  feed: LogFeed;
}

/** The log of a run. What is searched, and the line that is marked, are in the address of the page. */
export function LogPanel({ run, feed }: Props) {
  const live = isLive(run.status);
  const search = useSearch({ from: "/app/runs/$runId", select: parseRunSearch });
  const navigate = useNavigate({ from: "/runs/$runId" });
  const { level = NO_FILTER.level, q: text = "", line: lineNumber } = search;
  const log = { runId: run.id, feed, total: run.log_lines };
  const all = useLogLines(log, NO_FILTER.level, NO_FILTER.text);
  const found = useLogLines(log, level, text);
  const isFiltered = level !== NO_FILTER.level || text !== "";
  const hasContext = search.context === true && isFiltered;
  const shown = isFiltered && !hasContext ? found : all;

  const rows = useRef<LogRowsHandle>(null);
  const [isFollowing, setIsFollowing] = useState(lineNumber === undefined);
  const [wasLive, setWasLive] = useState(live);
  if (live && !wasLive) setWasLive(true); // the last lines of a run can arrive after its end
  const markedLine = lineNumber === undefined ? null : lineNumber - 1;
  const firstError = useFirstError(run, feed);

  function change(changes: RunSearch) {
    const next = { ...search, ...changes };
    const set = Object.entries(next).filter(([, value]) => value !== undefined);
    void navigate({ search: Object.fromEntries(set), replace: true, resetScroll: false });
  }

  /** The line that was shown last because of the address. */
  const jumpedTo = useRef<string | null>(null);
  const jumpKey = jumpKeyOf(lineNumber, hasContext, isFiltered);
  useEffect(() => {
    if (markedLine === null || shown !== all || !all.isLoaded || jumpedTo.current === jumpKey) return;
    jumpedTo.current = jumpKey;
    setIsFollowing(false);
    rows.current?.jumpTo(all.positionOf(markedLine), { focus: !hasContext });
  }, [markedLine, shown, all, all.isLoaded, jumpKey, hasContext]);

  return (
    <section aria-labelledby="log-title" className="card flex min-h-0 flex-col">
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-2">
        <h2 id="log-title" className="mr-auto font-semibold">
          Log <span className="font-normal text-faint tabular-nums">{countText(all, found, isFiltered)}</span>
        </h2>
        {all.count > 0 && <DownloadLog runId={run.id} />}
        {firstError !== null && (
          <Button
            size="small"
            look="danger"
            onClick={() => {
              jumpedTo.current = null;
              change({ line: firstError + 1, level: undefined, q: undefined, context: undefined });
            }}
          >
            <WarningIcon className="-ml-0.5" />
            First error
          </Button>
        )}
        <select
          aria-label="Level"
          className="control h-7! w-auto!"
          value={level}
          onChange={({ target }) =>
            change({
              level: target.value === NO_FILTER.level ? undefined : (target.value as RunSearch["level"]),
            })
          }
        >
          {LEVELS.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
        <LogSearch
          found={found}
          text={text}
          isFiltered={isFiltered}
          hasContext={hasContext}
          markedLine={markedLine}
          onText={(q) => change({ q: q || undefined, context: q ? search.context : undefined })}
          onContext={(context) => change({ context: context || undefined })}
          onHit={(line, position) => {
            change({ line: line + 1 });
            setIsFollowing(false);
            if (!hasContext) rows.current?.jumpTo(position, { focus: false });
          }}
        />
      </div>
      {(shown.error ?? all.error) !== null && (
        <div className="p-2">
          <ErrorNotice
            error={shown.error ?? all.error}
            retry={shown.error === null ? all.retry : shown.retry}
          />
        </div>
      )}
      {all.note && <p className="px-3 pt-2 text-faint">{all.note}</p>}
      {markedLine !== null && all.isLoaded && markedLine < all.removed && (
        <p className="px-3 pt-2 text-faint">Line {lineNumber} was removed.</p>
      )}
      <div className="relative">
        {shown.count === 0 && (all.count > 0 || !all.note) && (
          <p className="absolute inset-x-0 top-0 p-3 text-faint">{emptyText(all, shown, live)}</p>
        )}
        <LogRows
          ref={rows}
          lines={shown}
          searched={text}
          markedLine={markedLine}
          isFollowing={isFollowing && (live || wasLive)}
          onFollow={setIsFollowing}
          onMark={(line) => {
            jumpedTo.current = jumpKeyOf(line + 1, hasContext, isFiltered); // it is in view already
            change({ line: line + 1 });
          }}
          expectedLines={live ? null : run.log_lines}
          className={
            // A live log has a fixed height, so that the page does not move when lines arrive.
            live
              ? "h-[26rem] @3xl/page:h-[calc(100dvh-22rem)] @7xl/page:h-[calc(100dvh-17.5rem)] @3xl/page:min-h-80"
              : "max-h-[26rem] min-h-32 @3xl/page:max-h-[max(20rem,calc(100dvh-17.5rem))]"
          }
        />
        {live && !isFollowing && (
          <Button
            size="small"
            className="absolute right-5 bottom-3 shadow-float"
            onClick={() => setIsFollowing(true)}
          >
            <DownIcon className="-ml-0.5" /> Follow log{" "}
          </Button>
        )}
      </div>
    </section>
  );
}

function jumpKeyOf(lineNumber: number | undefined, hasContext: boolean, isFiltered: boolean): string {
  return `${lineNumber} ${hasContext} ${isFiltered}`;
}

/** The number of the first line with the level error, also if it arrives while the run is live. */
function useFirstError(run: Run, feed: LogFeed): number | null {
  const client = useQueryClient();
  const { queryKey } = firstErrorQuery(run);
  const { data = null } = useQuery(firstErrorQuery(run));
  useEffect(
    () =>
      feed.subscribe((first, lines) => {
        const index = lines.findIndex(({ level }) => level === "error");
        if (index !== -1) client.setQueryData(queryKey, (known) => known ?? first + index);
      }),
    [feed, client, queryKey],
  );
  return data;
}

function DownloadLog({ runId }: { runId: string }) {
  const [isDownloading, setIsDownloading] = useState(false);
  async function download() {
    setIsDownloading(true);
    try {
      await downloadFile(`/api/v1/runs/${runId}/logs/download`, `run-${runId}.log`);
    } catch (error) {
      showError(error);
    } finally {
      setIsDownloading(false);
    }
  }
  return (
    <Button
      size="icon"
      look="quiet"
      aria-label="Download the log"
      title="Download the log"
      disabledReason={isDownloading ? "Downloading" : null}
      onClick={() => void download()}
    >
      <DownloadIcon />
    </Button>
  );
}

function countText(all: LogLines, found: LogLines, isFiltered: boolean): string {
  if (!all.isLoaded) return "";
  if (!isFiltered) return countWithNoun(all.count, "line");
  const sofar = found.isSearching ? ", searching…" : "";
  return `${formatCount(found.count)} of ${countWithNoun(all.count, "line")}${sofar}`;
}

function emptyText(all: LogLines, shown: LogLines, live: boolean): string {
  if (!all.isLoaded || !shown.isLoaded || shown.isSearching) return "Loading…";
  if (all.count > 0) return "No log lines match.";
  return live ? "Log lines will appear here." : "This run has no log lines.";
}
