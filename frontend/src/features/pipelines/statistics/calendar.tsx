import { useState, type KeyboardEvent } from "react";
import type { PipelineStatistics } from "@/api/types";
import { classNames } from "@/components/class-names";
import { addDays, calendarWeeks, dayInWords, WEEKDAYS } from "./calendar-days";

type Day = PipelineStatistics["days"][number];

const STEPS: Record<string, number> = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -7, ArrowRight: 7 }; // days

/** A cell for each day of the last half year, in the color of what its runs became. */
export function Calendar({ days, since }: { days: Day[]; since: string }) {
  const weeks = calendarWeeks(since);
  const byDate = new Map(days.map((day) => [day.date, day]));
  const dates = weeks.flat();
  const today = dates.at(-1)!;
  const [focused, setFocused] = useState(today);
  const [shown, setShown] = useState<string | null>(null);

  function onKeyDown(event: KeyboardEvent<HTMLTableElement>) {
    const target = { Home: dates[0]!, End: today }[event.key] ?? addDays(focused, STEPS[event.key] ?? 0);
    if (target === focused || !dates.includes(target)) return;
    event.preventDefault();
    setFocused(target);
    event.currentTarget.querySelector<HTMLElement>(`[data-date="${target}"]`)?.focus();
  }
  return (
    <figure className="min-w-0">
      <figcaption id="calendar-title" className="mb-1 text-[0.8125rem] text-soft">
        Days of the last {weeks.length === 1 ? "week" : `${weeks.length} weeks`}
      </figcaption>
      <table
        role="grid"
        aria-labelledby="calendar-title"
        onKeyDown={onKeyDown}
        onMouseLeave={() => setShown(null)}
        className="w-full max-w-[44rem] table-fixed border-separate border-spacing-[2px]"
      >
        <tbody>
          {WEEKDAYS.map((name, weekday) => (
            <tr key={name}>
              <th
                scope="row"
                className="w-7 pr-1 text-left align-middle text-[0.625rem] leading-none font-normal text-faint"
              >
                <span className={classNames(weekday % 2 === 1 && "sr-only")}>{name}</span>
              </th>
              {weeks.map((week) => {
                const date = week[weekday];
                if (date === undefined) return <td key={week[0]} />;
                const text = dayInWords(date, byDate.get(date));
                return (
                  <td
                    key={date}
                    role="gridcell"
                    data-date={date}
                    tabIndex={date === focused ? 0 : -1}
                    aria-label={text}
                    onFocus={() => {
                      setFocused(date);
                      setShown(date);
                    }}
                    onBlur={() => setShown(null)}
                    onMouseEnter={() => setShown(date)}
                    className={classNames("h-3 rounded-[3px] p-0 @2xl:h-3.5", colorOf(byDate.get(date)))}
                  />
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      <p aria-hidden="true" className="mt-1.5 flex min-h-5 flex-wrap items-center gap-x-3 text-xs text-soft">
        {shown ? dayInWords(shown, byDate.get(shown)) : <Legend />}
      </p>
    </figure>
  );
}

function Legend() {
  return (
    <>
      {LEGEND.map(({ label, color }) => (
        <span key={label} className="flex items-center gap-1.5">
          <span className={classNames("size-2.5 rounded-[3px]", color)} /> {label}
        </span>
      ))}
    </>
  );
}

const LEGEND = [
  { label: "Succeeded", color: "bg-good/70" },
  { label: "Some failed", color: "bg-wait/70" },
  { label: "All failed", color: "bg-bad/80" },
  { label: "Cancelled", color: "bg-line-strong" },
  { label: "No runs", color: "bg-hover" },
];

function colorOf(day: Day | undefined): string {
  if (!day) return "bg-hover";
  if (day.failed === 0) return day.succeeded === 0 ? "bg-line-strong" : "bg-good/70";
  return day.succeeded === 0 ? "bg-bad/80" : "bg-wait/70";
}
