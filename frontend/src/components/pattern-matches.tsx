import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, unwrap } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import { SYNC_MODES } from "@/format/modes";
import { countWithNoun, formatCount } from "@/format/number";
import { patternConfig, patternList, withoutDefaults, type PatternValues } from "@/format/patterns";
import { ErrorNotice, FailureNotice, Skeletons } from "./notice";

const DELAY = 400; // milliseconds without typing, before the server is asked
const MAX_SHOWN = 200; // streams

interface Props {
  connectorId: string;
  values: PatternValues;
  /** Streams of the pipeline with settings of their own, which the patterns do not choose. */
  named?: string[];
  /** Streams that are not read although they match. */
  ignored?: string[];
}

/** The streams of the source that the patterns choose now, and their tables. */
export function PatternMatches({ connectorId, values, named = [], ignored = [] }: Props) {
  const { data, error, isPending } = usePatternMatches(connectorId, values, named);
  if (patternList(values.match).length === 0) return null;
  if (error) {
    // The fields show the messages about them.
    return Object.keys(fieldMessages(error)).length > 0 ? null : <ErrorNotice error={error} />;
  }
  if (isPending) return <Skeletons rows={3} />;
  if (data.failure) return <FailureNotice {...data.failure} />;
  const streams = data.streams.filter(({ stream }) => !named.includes(stream));
  const hidden = streams.length - MAX_SHOWN;
  return (
    <section aria-label="Matching streams" className="grid gap-1.5">
      <p role="status" className={streams.length === 0 ? "text-wait" : "text-soft"}>
        {formatCount(streams.length)} of {countWithNoun(data.total, "stream")} match
      </p>
      {streams.length > 0 && (
        <ul
          tabIndex={0}
          aria-label="Matching streams and their tables"
          className="max-h-64 divide-y divide-line overflow-y-auto rounded-card border border-line text-[0.8125rem]"
        >
          {streams.slice(0, MAX_SHOWN).map(({ stream, table, sync_mode }) => (
            <li key={stream} className="px-3 py-1.5 wrap-anywhere">
              <span className="font-medium">{stream}</span>{" "}
              <span className="text-soft">
                {ignored.includes(stream) ? "is ignored" : `to ${table} · ${SYNC_MODES[sync_mode]}`}
              </span>
            </li>
          ))}
          {hidden > 0 && <li className="px-3 py-1.5 text-soft">and {formatCount(hidden)} more</li>}
        </ul>
      )}
    </section>
  );
}

/** Asks the server which streams match, a moment after the last change. */
export function usePatternMatches(connectorId: string, values: PatternValues, named: string[]) {
  const typed = JSON.stringify({
    ...patternConfig(withoutDefaults(values)),
    streams: named.map((stream) => ({ stream })),
  });
  const [asked, setAsked] = useState(typed);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(typed), DELAY);
    return () => clearTimeout(timer);
  }, [typed]);
  return useQuery({
    queryKey: queryKeys.connectors.matches(connectorId, asked),
    queryFn: ({ signal }) =>
      unwrap(
        api.POST("/api/v1/pipelines/match", {
          body: {
            config: {
              source: { connector_id: connectorId },
              ...(JSON.parse(asked) as ReturnType<typeof patternConfig>),
            },
          },
          signal,
        }),
      ),
    enabled: (JSON.parse(asked) as { patterns: unknown }).patterns !== null,
    placeholderData: keepPreviousData,
    retry: false,
  });
}
