import { useState, type ReactNode } from "react";
import { isLive, isOnlyStaged } from "@/api/run-status";
import type { Run } from "@/api/types";
import { useNow } from "@/components/clock";
import { classNames } from "@/components/class-names";
import { formatDuration, secondsBetween } from "@/format/duration";
import { formatBytes, formatCount } from "@/format/number";
import { TimeLeft } from "./time-left";

/** The figures of a run. Each has a fixed position, so that the page does not move while they change. */
export function ProgressCard({ run }: { run: Run }) {
  const progress = run.progress;
  const total = progress.total;
  const isRunning = run.status === "running";
  const rate = isRunning ? progress.rate : averageRate(run);
  return (
    <section aria-label="Progress" className="card @container overflow-hidden">
      <dl className="grid grid-cols-2 gap-px bg-line @md:grid-cols-4 @6xl:grid-cols-8">
        <Figure name={total === null || total === progress.read ? "Read" : `Read of ${formatCount(total)}`}>
          {formatCount(progress.read)}
        </Figure>
        <Figure name={isOnlyStaged(run) ? "Staged, not published" : "Written"}>
          {formatCount(progress.written)}
        </Figure>
        <Figure name="Rejected" isWarning={progress.rejected > 0}>
          {formatCount(progress.rejected)}
        </Figure>
        <Figure name="Skipped">{formatCount(progress.skipped)}</Figure>
        <Figure name={isRunning ? "Rate" : "Average rate"}>
          {rate === null ? "–" : formatCount(Math.round(rate))}
          {rate !== null && <UnitText>{"\u00a0/s"}</UnitText>}
        </Figure>
        <Figure name="Volume">{formatBytes(progress.bytes)}</Figure>
        <Figure name="Time left">
          <TimeLeftText run={run} />
        </Figure>
        <Figure name={run.attempt > 1 ? `Duration of attempt ${run.attempt}` : "Duration"}>
          <RunDuration run={run} />
        </Figure>
      </dl>
      <ProgressBar run={run} share={finishedShare(run)} />
    </section>
  );
}

/** The records per second over all attempts of the run, or null if there are no records or no duration. */
function averageRate({ progress, attempts, duration_seconds }: Run): number | null {
  const seconds = attempts.length > 1 ? secondsOfAttempts(attempts) : duration_seconds;
  return progress.read > 0 && seconds ? progress.read / seconds : null;
}

function secondsOfAttempts(attempts: Run["attempts"]): number {
  const seconds = attempts.map(({ started_at, finished_at }) =>
    finished_at === null ? 0 : secondsBetween(started_at, finished_at, 0),
  );
  return seconds.reduce((sum, each) => sum + each, 0);
}

function Figure({ name, isWarning, children }: { name: string; isWarning?: boolean; children: ReactNode }) {
  return (
    <div className="bg-surface px-4 py-3">
      <dt className="truncate text-xs text-faint">{name}</dt>
      <dd
        className={classNames(
          "text-lg leading-7 font-semibold whitespace-nowrap tabular-nums",
          isWarning && "text-wait",
        )}
      >
        {children}
      </dd>
    </div>
  );
}

/** The time left in steps, which is steady because the rate is an average. See `TimeLeft`. */
function TimeLeftText({ run }: { run: Run }) {
  const { read, total, at } = run.progress;
  const [key, startedAt] = [`${run.id} ${run.attempt}`, startOfAttempt(run)];
  const [estimate, setEstimate] = useState({
    key,
    of: new TimeLeft(startedAt),
    at: null as string | null,
    text: null as string | null,
  });
  const current =
    estimate.key === key ? estimate : { key, of: new TimeLeft(startedAt), at: null, text: null };
  if (run.status === "running" && at !== null && at !== current.at) {
    const text = current.of.update({ read, total, at: Date.parse(at) });
    setEstimate({ ...current, at, text });
  }
  if (run.status !== "running" || current.text === null) return "–";
  return (
    <>
      <UnitText>about </UnitText>
      {current.text}
    </>
  );
}

function startOfAttempt({ attempts, started_at }: Run): number {
  return Date.parse(attempts?.at(-1)?.started_at ?? started_at ?? "");
}

function UnitText({ children }: { children: ReactNode }) {
  return <span className="text-[0.8125rem] font-normal text-faint">{children}</span>;
}

function RunDuration({ run }: { run: Run }) {
  const now = useNow();
  if (!run.started_at) return "–";
  const live = isLive(run.status);
  const seconds = secondsBetween(run.started_at, live ? null : run.finished_at, now);
  return formatDuration(live ? Math.floor(seconds) : seconds);
}

/** The finished part of the run, from 0 to 1, or null if the total is unknown. */
function finishedShare(run: Run): number | null {
  if (run.status === "succeeded") return 1;
  const { total, read } = run.progress;
  if (!total) return null;
  return Math.min(1, read / total);
}

const STATUS_COLOURS: Record<Run["status"], string> = {
  pending: "bg-wait",
  running: "bg-live",
  succeeded: "bg-good",
  failed: "bg-bad",
  cancelled: "bg-line-strong",
};

function ProgressBar({ run, share }: { run: Run; share: number | null }) {
  const isUnknown = share === null && run.status === "running";
  return (
    <div
      role="progressbar"
      aria-label="Progress of the run"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={share === null ? undefined : Math.round(share * 100)}
      className="h-1.5 bg-hover"
    >
      <div
        key={String(isUnknown)} // A new element has no transition from full width to the first known share.
        className={classNames(
          "h-full transition-[width] duration-500",
          STATUS_COLOURS[run.status],
          isUnknown && "animate-breathe",
        )}
        style={{ width: isUnknown ? "100%" : `${(share ?? 0) * 100}%` }}
      />
    </div>
  );
}
