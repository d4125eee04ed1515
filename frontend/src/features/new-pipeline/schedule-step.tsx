import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { fieldMessages, messagesBelow } from "@/api/problem";
import { Field, TextField } from "@/components/field";
import { shortTime } from "@/format/time";
import { cronInWords, scheduleInWords, type Schedule } from "@/format/schedule";
import { timesQuery } from "./queries";
import { StepActions } from "./step";

type Manner = "never" | "interval" | "daily" | "cron";

const INTERVALS = [300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600];

interface Props {
  schedule: Schedule | null;
  errors: Record<string, string>;
  onDone: (schedule: Schedule | null) => void;
}

export function ScheduleStep({ schedule, errors, onDone }: Props) {
  const [manner, setManner] = useState<Manner>(mannerOf(schedule));
  const [seconds, setSeconds] = useState(schedule?.interval_seconds ?? 3600);
  const [time, setTime] = useState("06:00");
  const [cron, setCron] = useState(schedule?.cron ?? "0 6 * * 1-5");
  const [zone, setZone] = useState(schedule?.timezone ?? viewersZone());
  const result = build(manner, seconds, time, cron, zone);
  const bad = manner === "cron" && cron.trim().split(/\s+/).length !== 5;
  const times = useQuery(timesQuery(bad ? null : result));
  const messages = { ...messagesBelow(fieldMessages(times.error), "schedule"), ...errors };
  return (
    <div className="grid gap-4">
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="It runs">
          {(control) => (
            <select
              className="control"
              {...control}
              value={manner}
              onChange={({ target }) => setManner(target.value as Manner)}
            >
              <option value="never">Only when someone starts it</option>
              <option value="interval">Again and again</option>
              <option value="daily">Once a day</option>
              <option value="cron">By a cron pattern</option>
            </select>
          )}
        </Field>
        {manner === "interval" && (
          <Field label="How often" error={messages.interval_seconds}>
            {(control) => (
              <select
                className="control"
                {...control}
                value={seconds}
                onChange={({ target }) => setSeconds(Number(target.value))}
              >
                {INTERVALS.map((each) => (
                  <option key={each} value={each}>
                    {scheduleInWords({ interval_seconds: each })}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        {manner === "daily" && (
          <TextField
            label="At"
            type="time"
            required
            value={time}
            onChange={({ target }) => setTime(target.value)}
          />
        )}
        {manner === "cron" && (
          <TextField
            label="Cron pattern"
            hint={
              bad ? "Five fields: minute, hour, day of month, month, day of week." : cronInWords(cron, zone)
            }
            error={messages.cron}
            value={cron}
            spellCheck={false}
            onChange={({ target }) => setCron(target.value)}
          />
        )}
        {(manner === "daily" || manner === "cron") && (
          <Field label="Time zone" error={messages.timezone}>
            {(control) => (
              <select
                className="control"
                {...control}
                value={zone}
                onChange={({ target }) => setZone(target.value)}
              >
                {zones(zone).map((each) => (
                  <option key={each}>{each}</option>
                ))}
              </select>
            )}
          </Field>
        )}
      </div>
      {result && !bad && <NextTimes times={times.data?.times ?? []} />}
      <StepActions
        next="Continue"
        blocked={bad ? "The pattern needs five fields" : null}
        onNext={() => onDone(result)}
      />
    </div>
  );
}

/** Room is kept for the line, so that nothing moves when it comes. */
function NextTimes({ times }: { times: string[] }) {
  return (
    <p className="min-h-5 text-[0.8125rem] text-soft" aria-live="polite">
      {times.length > 0 && `Next, in your time: ${times.map((at) => shortTime(at)).join(" · ")}`}
    </p>
  );
}

function mannerOf(schedule: Schedule | null): Manner {
  if (!schedule) return "never";
  return schedule.interval_seconds ? "interval" : "cron";
}

function build(
  manner: Manner,
  seconds: number,
  time: string,
  cron: string,
  timezone: string,
): Schedule | null {
  if (manner === "never") return null;
  if (manner === "interval") return { interval_seconds: seconds, timezone };
  if (manner === "cron") return { cron: cron.trim(), timezone };
  const [hour = "6", minute = "0"] = time.split(":");
  return { cron: `${Number(minute)} ${Number(hour)} * * *`, timezone };
}

function viewersZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

function zones(current: string): string[] {
  return [...new Set(["UTC", current, ...Intl.supportedValuesOf("timeZone")])];
}
