import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { fieldMessages, messagesBelow } from "@/api/problem";
import { Field, TextField } from "@/components/field";
import { browserTimeZone, shortTime } from "@/format/time";
import { cronInWords, scheduleInWords, type Schedule } from "@/format/schedule";
import { nextTimesQuery } from "./queries";
import { StepActions } from "./step";

type Timing = "manual" | "interval" | "daily" | "cron";

const INTERVALS = [300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600]; // seconds

interface Props {
  schedule: Schedule | null;
  errors: Record<string, string>;
  onDone: (schedule: Schedule | null) => void;
}

export function ScheduleStep({ schedule, errors, onDone }: Props) {
  const [timing, setTiming] = useState<Timing>(timingOf(schedule));
  const [intervalSeconds, setIntervalSeconds] = useState(schedule?.interval_seconds ?? 3600);
  const [time, setTime] = useState("06:00");
  const [cron, setCron] = useState(schedule?.cron ?? "0 6 * * 1-5");
  const [zone, setZone] = useState(schedule?.timezone ?? browserTimeZone());
  const newSchedule = buildSchedule(timing, intervalSeconds, time, cron, zone);
  const isInvalidCron = timing === "cron" && cron.trim().split(/\s+/).length !== 5;
  const times = useQuery(nextTimesQuery(isInvalidCron ? null : newSchedule));
  const messages = { ...messagesBelow(fieldMessages(times.error), "schedule"), ...errors };
  return (
    <div className="grid gap-4">
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="Schedule">
          {(control) => (
            <select
              className="control"
              {...control}
              value={timing}
              onChange={({ target }) => setTiming(target.value as Timing)}
            >
              <option value="manual">Manual</option>
              <option value="interval">Every…</option>
              <option value="daily">Daily</option>
              <option value="cron">Custom (cron)</option>
            </select>
          )}
        </Field>
        {timing === "interval" && (
          <Field label="Interval" error={messages.interval_seconds}>
            {(control) => (
              <select
                className="control"
                {...control}
                value={intervalSeconds}
                onChange={({ target }) => setIntervalSeconds(Number(target.value))}
              >
                {INTERVALS.map((interval) => (
                  <option key={interval} value={interval}>
                    {scheduleInWords({ interval_seconds: interval })}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        {timing === "daily" && (
          <TextField
            label="Time"
            type="time"
            required
            value={time}
            onChange={({ target }) => setTime(target.value)}
          />
        )}
        {timing === "cron" && (
          <TextField
            label="Cron expression"
            hint={
              isInvalidCron
                ? "Enter five fields: minute, hour, day of month, month, day of week."
                : cronInWords(cron, zone)
            }
            error={messages.cron}
            value={cron}
            spellCheck={false}
            onChange={({ target }) => setCron(target.value)}
          />
        )}
        {(timing === "daily" || timing === "cron") && (
          <Field label="Time zone" error={messages.timezone}>
            {(control) => (
              <select
                className="control"
                {...control}
                value={zone}
                onChange={({ target }) => setZone(target.value)}
              >
                {timeZones(zone).map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            )}
          </Field>
        )}
      </div>
      {newSchedule && !isInvalidCron && <NextTimes times={times.data?.times ?? []} />}
      <StepActions
        nextLabel="Continue"
        disabledReason={isInvalidCron ? "The cron expression needs five fields" : null}
        onNext={() => onDone(newSchedule)}
      />
    </div>
  );
}

/** The line has its full height even without times, so that the page does not move when they arrive. */
function NextTimes({ times }: { times: string[] }) {
  return (
    <p className="min-h-5 text-[0.8125rem] text-soft" aria-live="polite">
      {times.length > 0 &&
        `Next runs, in your time zone: ${times.map((time) => shortTime(time)).join(" · ")}`}
    </p>
  );
}

function timingOf(schedule: Schedule | null): Timing {
  if (!schedule) return "manual";
  return schedule.interval_seconds ? "interval" : "cron";
}

function buildSchedule(
  timing: Timing,
  intervalSeconds: number,
  time: string,
  cron: string,
  timezone: string,
): Schedule | null {
  if (timing === "manual") return null;
  if (timing === "interval") return { interval_seconds: intervalSeconds, timezone };
  if (timing === "cron") return { cron: cron.trim(), timezone };
  const [hour = "6", minute = "0"] = time.split(":");
  return { cron: `${Number(minute)} ${Number(hour)} * * *`, timezone };
}

function timeZones(current: string): string[] {
  return [...new Set(["UTC", current, ...Intl.supportedValuesOf("timeZone")])];
}
