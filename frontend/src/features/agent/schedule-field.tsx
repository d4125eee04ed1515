import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, unwrap } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import { TextField } from "@/components/field";
import { scheduleInWords, type Schedule } from "@/format/schedule";
import { shortTime } from "@/format/time";

const TYPING_PAUSE = 400; // milliseconds
const SHOWN_TIMES = 3;
const EXAMPLES =
  'For example "every 6 hours", "weekdays at 7:30 in Berlin", "by hand", or a cron expression.';

/** The schedule that words describe, in this time zone if they name none, and its next times. */
export function scheduleOfWordsQuery(words: string, timezone: string) {
  return queryOptions({
    queryKey: queryKeys.scheduleOfWords(words, timezone),
    queryFn: ({ signal }) =>
      unwrap(api.POST("/api/v1/schedules/words", { body: { words, timezone, count: SHOWN_TIMES }, signal })),
    enabled: words.trim() !== "",
    retry: false,
    placeholderData: keepPreviousData,
  });
}

/** The times of the schedule as words that the server can read again. Its last day is not part of them, and stays. */
export function wordsOf(schedule: unknown): string {
  return schedule ? scheduleInWords({ ...(schedule as Schedule), end_date: null }) : "By hand";
}

export function timeZoneOf(schedule: unknown): string {
  return (schedule as Schedule | null)?.timezone ?? "UTC";
}

interface Props {
  label: string;
  words: string;
  timezone: string;
  error: string | null;
  onChange: (words: string) => void;
}

/** A schedule in words. The server reads it, and its next times are shown while the user types. */
export function ScheduleField({ label, words, timezone, error, onChange }: Props) {
  const settledWords = useAfterTyping(words);
  const { data, error: problem } = useQuery(scheduleOfWordsQuery(settledWords, timezone));
  const isCurrent = settledWords === words;
  const message = isCurrent ? fieldMessages(problem).words : undefined;
  return (
    <div className="grid gap-1">
      <TextField
        label={label}
        hint={EXAMPLES}
        error={error ?? message ?? null}
        required
        maxLength={200}
        spellCheck={false}
        value={words}
        onChange={({ target }) => onChange(target.value)}
      />
      {/* The line keeps its height, so that the form does not move while the user types. */}
      <p className="min-h-5 text-xs text-soft" role="status">
        {data && !problem && isCurrent && describe(data)}
      </p>
    </div>
  );
}

function describe({ in_words, times }: { in_words: string; times: string[] }): string {
  if (times.length === 0) return "It runs only when somebody starts it.";
  return `${in_words}. Next runs, in your time zone: ${times.map((time) => shortTime(time)).join(" · ")}`;
}

/** Returns the text as it was at the last pause of the user. */
function useAfterTyping(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), TYPING_PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
