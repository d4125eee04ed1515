import type { ReactNode } from "react";
import { isLive } from "@/api/run-status";
import type { Run } from "@/api/types";
import { useNow } from "@/components/clock";
import { classNames } from "@/components/class-names";
import { duration, secondsBetween } from "@/format/duration";
import { bytes, count } from "@/format/number";

/** Fixed places for every figure, so that nothing moves while they change. */
export function ProgressCard({ run }: { run: Run }) {
  const progress = run.progress;
  const total = progress.total;
  const live = run.status === "running";
  const rate = live ? progress.rate : averageRate(run);
  return (
    <section aria-label="Progress" className="card @container overflow-hidden">
      <dl className="grid grid-cols-2 gap-px bg-line @md:grid-cols-3 @3xl:grid-cols-6">
        <Figure name={total === null ? "Read" : `Read of ${count(total)}`}>{count(progress.read)}</Figure>
        <Figure name="Written">{count(progress.written)}</Figure>
        <Figure name="Rejected" loud={progress.rejected > 0}>
          {count(progress.rejected)}
        </Figure>
        <Figure name={live ? "Rate" : "Average rate"}>
          {rate === null ? "–" : count(Math.round(rate))}
          {rate !== null && <Small>{"\u00a0/s"}</Small>}
        </Figure>
        <Figure name={live ? "Time left" : "Volume"}>
          {live
            ? progress.eta_seconds === null
              ? "–"
              : duration(progress.eta_seconds)
            : bytes(progress.bytes)}
        </Figure>
        <Figure name="Duration">
          <Elapsed run={run} />
        </Figure>
      </dl>
      <Bar run={run} share={share(run)} />
    </section>
  );
}

/** Records per second over the whole run; null when it moved nothing or took no time. */
function averageRate({ progress, duration_seconds: seconds }: Run): number | null {
  return progress.read > 0 && seconds ? progress.read / seconds : null;
}

function Figure({ name, loud, children }: { name: string; loud?: boolean; children: ReactNode }) {
  return (
    <div className="bg-surface px-4 py-3">
      <dt className="truncate text-xs text-faint">{name}</dt>
      <dd
        className={classNames("truncate text-lg leading-7 font-semibold tabular-nums", loud && "text-wait")}
      >
        {children}
      </dd>
    </div>
  );
}

function Small({ children }: { children: ReactNode }) {
  return <span className="text-[0.8125rem] font-normal text-faint">{children}</span>;
}

function Elapsed({ run }: { run: Run }) {
  const now = useNow();
  if (!run.started_at) return "–";
  const live = isLive(run.status);
  const seconds = secondsBetween(run.started_at, live ? null : run.finished_at, now);
  return duration(live ? Math.floor(seconds) : seconds);
}

/** Done part from 0 to 1; null when the source does not say how much there is. */
function share(run: Run): number | null {
  if (run.status === "succeeded") return 1;
  const { total, written, rejected } = run.progress;
  if (!total) return null;
  return Math.min(1, (written + rejected) / total);
}

const COLOURS: Record<Run["status"], string> = {
  pending: "bg-wait",
  running: "bg-live",
  succeeded: "bg-good",
  failed: "bg-bad",
  cancelled: "bg-line-strong",
};

function Bar({ run, share }: { run: Run; share: number | null }) {
  const unknown = share === null && run.status === "running";
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
        key={String(unknown)} // a new element, so that it does not shrink from full to the first known share
        className={classNames(
          "h-full transition-[width] duration-500",
          COLOURS[run.status],
          unknown && "animate-breathe",
        )}
        style={{ width: unknown ? "100%" : `${(share ?? 0) * 100}%` }}
      />
    </div>
  );
}
