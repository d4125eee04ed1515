import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Freshness, Overview } from "@/api/types";
import { classNames } from "@/components/class-names";
import { formatCount, formatShortCount } from "@/format/number";
import { FRESHNESS_WORDS } from "@/api/status-words";

const TILES: { freshness: Freshness; hint: string; color: string }[] = [
  { freshness: "failing", hint: "The last run failed", color: "text-bad" },
  { freshness: "late", hint: "Behind schedule", color: "text-wait" },
  { freshness: "fresh", hint: "On schedule", color: "text-good" },
  { freshness: "none", hint: "Or not run yet", color: "text-soft" },
];

const TILE =
  "flex h-24 min-w-0 flex-col justify-between rounded-card border border-line bg-surface px-4 py-3";

/** How many pipelines are failing, late and fresh, and what runs now. Each tile leads to its list. */
export function FreshnessTiles({ overview }: { overview: Overview | undefined }) {
  return (
    <section aria-label="Freshness of the pipelines">
      <ul className="grid grid-cols-2 gap-3 @2xl:grid-cols-3 @5xl:grid-cols-6">
        {TILES.map(({ freshness, hint, color }) => (
          <li key={freshness}>
            <Link
              to="/pipelines"
              search={{ freshness }}
              className={classNames(TILE, "hover:border-line-strong hover:bg-hover")}
            >
              <Label>
                <span aria-hidden="true" className={classNames("size-2 rounded-full bg-current", color)} />
                {FRESHNESS_WORDS[freshness]}
              </Label>
              <Value
                count={overview?.freshness[freshness]}
                className={overview?.freshness[freshness] ? color : "text-faint"}
              />
              <Hint>{hint}</Hint>
            </Link>
          </li>
        ))}
        <li>
          <Link
            to="/runs"
            search={{ status: "running" }}
            className={classNames(TILE, "hover:border-line-strong hover:bg-hover")}
          >
            <Label>Running now</Label>
            <Value count={overview?.running} />
            <Hint>{overview ? `${formatCount(overview.waiting)} waiting` : ""}</Hint>
          </Link>
        </li>
        <li className={TILE} title={overview && `${formatCount(overview.records)} records were written`}>
          <Label>Runs in 24 h</Label>
          <Value count={overview?.runs} />
          <Hint>{overview ? successText(overview) : ""}</Hint>
        </li>
      </ul>
    </section>
  );
}

function successText({ success_rate, records }: Overview): string {
  if (success_rate === null) return `${formatShortCount(records)} records`;
  return `${Math.floor(success_rate * 1000) / 10}% succeeded`;
}

function Label({ children }: { children: ReactNode }) {
  return <span className="flex items-center gap-1.5 truncate text-[0.8125rem] text-soft">{children}</span>;
}

function Value({ count, className }: { count: number | undefined; className?: string }) {
  if (count === undefined) return <span className="skeleton h-6 w-12" />;
  return (
    <span className={classNames("text-2xl leading-7 font-semibold tabular-nums", className)}>
      {formatCount(count)}
    </span>
  );
}

function Hint({ children }: { children: ReactNode }) {
  return <span className="min-h-4 truncate text-xs leading-4 text-faint">{children}</span>;
}
