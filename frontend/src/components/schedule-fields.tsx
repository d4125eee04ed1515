import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { fieldMessages, messagesBelow } from "@/api/problem";
import { nextTimesQuery } from "@/api/schedules";
import type { ClockChange } from "@/api/types";
import { WEEKDAYS, type Weekday } from "@/format/blackouts";
import { cronInWords, scheduleInWords, type Schedule } from "@/format/schedule";
import { browserTimeZone } from "@/format/time";
import { Field, TextField } from "./field";
import { TimeZoneField } from "./time-zone-field";
import { WeekdayChoice } from "./weekday-choice";

type Timing = "manual" | "interval" | "daily" | "weekly" | "cron";

const INTERVALS = [300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600]; // seconds
const DAILY = /^(\d{1,2}) (\d{1,2}) \* \* \*$/;
const WEEKLY = /^(\d{1,2}) (\d{1,2}) \* \* (1-5|[0-7](?:,[0-7])*)$/;
const WORKDAYS = WEEKDAYS.slice(0, 5);

export interface CheckedSchedule {
  /** The next times, or an empty list until the server has answered. */
  times: string[];
  /** The changes of the clocks that move times of the schedule. */
  changes: ClockChange[];
  /** Those of the times at which a blackout ends. */
  afterBlackout: string[];
  /** Why the schedule cannot be used, or null. */
  problem: string | null;
  errors: Record<string, string>;
}

/** Lets the server check a schedule and compute its next times. */
export function useCheckedSchedule(schedule: Schedule | null, count: number): CheckedSchedule {
  const isIncomplete = typeof schedule?.cron === "string" && !hasFiveFields(schedule.cron);
  const { data, error, isPlaceholderData } = useQuery(nextTimesQuery(isIncomplete ? null : schedule, count));
  const unchecked = { times: [], changes: [], afterBlackout: [], errors: {} };
  if (schedule === null) return { ...unchecked, problem: null };
  if (isIncomplete) return { ...unchecked, problem: "The cron expression needs five fields" };
  if (error) {
    const errors = messagesBelow(fieldMessages(error), "schedule");
    return { ...unchecked, problem: Object.values(errors)[0] ?? error.message, errors };
  }
  if (data === undefined || isPlaceholderData) return { ...unchecked, problem: "Checking the schedule" };
  const { times, clock_changes: changes, after_blackout: afterBlackout } = data;
  return { times, changes, afterBlackout, problem: null, errors: {} };
}

function hasFiveFields(cron: string): boolean {
  return cron.trim().split(/\s+/).length === 5;
}

interface Props {
  /** The schedule with which the fields begin. */
  schedule: Schedule | null;
  onChange: (schedule: Schedule | null) => void;
  errors: Record<string, string>;
  /** Whether an interval depends on a time zone too, because the schedule has blackouts or a last day. */
  usesLocalTime?: boolean;
}

/** Fields for the times of a schedule: manual, an interval, daily, on days of the week, or a cron expression. */
export function ScheduleFields({ schedule, onChange, errors, usesLocalTime = false }: Props) {
  const [timing, setTiming] = useState<Timing>(timingOf(schedule));
  const [intervalSeconds, setIntervalSeconds] = useState(schedule?.interval_seconds ?? 3600);
  const [time, setTime] = useState(timeOf(schedule?.cron));
  const [days, setDays] = useState(daysOf(schedule?.cron));
  const [cron, setCron] = useState(schedule?.cron ?? "0 6 * * 1-5");
  const [zone, setZone] = useState(schedule?.timezone ?? browserTimeZone());

  function change(next: Partial<Parts>) {
    onChange(buildSchedule({ timing, intervalSeconds, time, days, cron, zone, ...next }));
  }
  return (
    <div className="grid gap-4 sm:grid-cols-2">
      <Field label="Schedule">
        {(control) => (
          <select
            className="control"
            {...control}
            value={timing}
            onChange={({ target }) => {
              setTiming(target.value as Timing);
              change({ timing: target.value as Timing });
            }}
          >
            <option value="manual">Manual</option>
            <option value="interval">Every…</option>
            <option value="daily">Daily</option>
            <option value="weekly">Days of the week</option>
            <option value="cron">Custom (cron)</option>
          </select>
        )}
      </Field>
      {timing === "interval" && (
        <Field label="Interval" error={errors.interval_seconds}>
          {(control) => (
            <select
              className="control"
              {...control}
              value={intervalSeconds}
              onChange={({ target }) => {
                setIntervalSeconds(Number(target.value));
                change({ intervalSeconds: Number(target.value) });
              }}
            >
              {intervals(schedule?.interval_seconds).map((interval) => (
                <option key={interval} value={interval}>
                  {scheduleInWords({ interval_seconds: interval })}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      {(timing === "daily" || timing === "weekly") && (
        <TextField
          label="Time"
          type="time"
          required
          value={time}
          onChange={({ target }) => {
            if (!target.value) return; // a schedule without a time does not exist
            setTime(target.value);
            change({ time: target.value });
          }}
        />
      )}
      {timing === "cron" && (
        <TextField
          label="Cron expression"
          hint={cronHint(cron, zone, errors.cron)}
          error={errors.cron}
          value={cron}
          spellCheck={false}
          maxLength={100}
          onChange={({ target }) => {
            setCron(target.value);
            change({ cron: target.value });
          }}
        />
      )}
      {timing === "weekly" && (
        <div className="sm:col-span-2">
          <WeekdayChoice
            label="On"
            days={days}
            onChange={(next) => {
              setDays(next);
              change({ days: next });
            }}
          />
        </div>
      )}
      {timing !== "manual" && (timing !== "interval" || usesLocalTime) && (
        <TimeZoneField
          value={zone}
          onChange={(next) => {
            setZone(next);
            change({ zone: next });
          }}
          error={errors.timezone}
        />
      )}
    </div>
  );
}

function timingOf(schedule: Schedule | null): Timing {
  if (!schedule) return "manual";
  if (schedule.interval_seconds) return "interval";
  if (DAILY.test(schedule.cron ?? "")) return "daily";
  return WEEKLY.test(schedule.cron ?? "") ? "weekly" : "cron";
}

function timeOf(cron: string | null | undefined): string {
  const [, minute, hour] = DAILY.exec(cron ?? "") ?? WEEKLY.exec(cron ?? "") ?? [];
  return minute && hour ? `${hour.padStart(2, "0")}:${minute.padStart(2, "0")}` : "06:00";
}

/** The days of a weekly expression. In cron, Sunday is 0 and 7. */
function daysOf(cron: string | null | undefined): Weekday[] {
  const field = WEEKLY.exec(cron ?? "")?.[3];
  if (!field || field === "1-5") return WORKDAYS;
  const numbers = field.split(",").map((number) => Number(number) || 7);
  return WEEKDAYS.filter((_, index) => numbers.includes(index + 1));
}

/** The field of a cron expression for these days. */
function weekdayField(days: Weekday[]): string {
  if (days.join() === WORKDAYS.join()) return "1-5";
  if (days.length === WEEKDAYS.length) return "*";
  return days.map((day) => (WEEKDAYS.indexOf(day) + 1) % 7).join(",");
}

interface Parts {
  timing: Timing;
  intervalSeconds: number;
  time: string;
  days: Weekday[];
  cron: string;
  zone: string;
}

function buildSchedule({ timing, intervalSeconds, time, days, cron, zone }: Parts): Schedule | null {
  if (timing === "manual") return null;
  if (timing === "interval") return { interval_seconds: intervalSeconds, timezone: zone };
  if (timing === "cron") return { cron: cron.trim(), timezone: zone };
  const [hour = "6", minute = "0"] = time.split(":");
  const onDays = timing === "weekly" ? weekdayField(days) : "*";
  return { cron: `${Number(minute)} ${Number(hour)} * * ${onDays}`, timezone: zone };
}

/** The intervals to offer, with the current one, which may have been set through the API. */
function intervals(current: number | null | undefined): number[] {
  return [...new Set([...INTERVALS, ...(current ? [current] : [])])].sort((one, other) => one - other);
}

/** The times of the expression in words, or how to write one. An expression that the server has refused has no times. */
function cronHint(cron: string, zone: string, error: string | undefined): string | undefined {
  if (!hasFiveFields(cron)) return "Enter five fields: minute, hour, day of month, month, day of week.";
  return error ? undefined : cronInWords(cron, zone);
}
