import { transformsOf } from "@/format/transforms";
import type { ConnectorRow } from "@/api/types";
import { patternConfig, type PatternValues } from "@/format/patterns";
import type { OnStreamFailure } from "@/format/modes";
import { STRICT_LIMITS, streamLimits, type Limits } from "@/format/limits";
import { streamConfig, type StreamDraft } from "@/components/streams/stream-draft";
import type { Schedule } from "@/format/schedule";

/** The source or the destination of the pipeline: a saved connector. */
export interface Endpoint {
  connectorId: string;
  kind: string;
  /** The name that the pages show. */
  label: string;
}

export function endpointOf({ id, kind, name }: Pick<ConnectorRow, "id" | "kind" | "name">): Endpoint {
  return { connectorId: id, kind, label: name };
}

export interface Draft {
  source: Endpoint | null;
  streams: StreamDraft[];
  /** Patterns that choose the streams at each run, instead of the list; null if the list is used. */
  patterns: PatternValues | null;
  destination: Endpoint | null;
  /** The limits of every stream. */
  limits: Limits;
  /** Python code that changes each record of the only stream; empty if there is no transform. */
  transform: string;
  /** What a run does if one of several streams fails. */
  onStreamFailure: OnStreamFailure;
  schedule: Schedule | null;
  name: string;
  tags: string[];
}

export const EMPTY_DRAFT: Draft = {
  source: null,
  streams: [],
  patterns: null,
  destination: null,
  limits: STRICT_LIMITS,
  transform: "",
  onStreamFailure: "continue",
  schedule: null,
  name: "",
  tags: [],
};

/** Whether the pipeline may read several streams. */
export function isSeveral({ patterns, streams }: Draft): boolean {
  return patterns !== null || streams.length > 1;
}

/** Returns the definition that the API accepts as `config`. Only a pipeline with one stream has the transform. */
export function definitionOf(draft: Draft) {
  const sides = {
    source: { connector_id: draft.source!.connectorId },
    destination: { connector_id: draft.destination!.connectorId },
    ...(isSeveral(draft) && draft.onStreamFailure === "stop" && { on_stream_failure: "stop" as const }),
  };
  if (draft.patterns) {
    return { ...sides, streams: [], ...patternConfig({ ...draft.patterns, limits: draft.limits }) };
  }
  const transforms = draft.streams.length === 1 ? transformsOf(draft.transform) : [];
  return {
    ...sides,
    streams: draft.streams.map((stream) => ({
      ...streamConfig(stream),
      transforms,
      ...streamLimits(draft.limits),
    })),
  };
}
