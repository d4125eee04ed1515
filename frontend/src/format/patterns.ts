/** The patterns that choose the streams of a pipeline, as the forms have them and as the API has them. */
import { transformsOf } from "./transforms";
import { hasRules, NO_RULES, rulesOf, type FieldRules } from "./fields";
import type { Contract } from "./modes";
import { STRICT_LIMITS, limitsOf, streamLimits, type Limits } from "./limits";

export type NewStreams = "add" | "ask" | "ignore";
type SyncMode = "full_refresh" | "incremental";
type WriteMode = "replace" | "append" | "merge";

/** `match` has one pattern per line. An empty write mode lets the server choose one for each stream. */
export interface PatternValues {
  match: string;
  syncMode: SyncMode;
  cursorField: string;
  writeMode: WriteMode | "";
  limits: Limits;
  contract: Contract;
  fields: FieldRules;
  /** Python code that changes each record; empty if there is no transform. */
  code: string;
  newStreams: NewStreams;
  /** The rule for the names of tables, such as `raw_{table}`; empty for the default names. */
  naming: string;
}

export const NO_PATTERNS: PatternValues = {
  match: "",
  syncMode: "full_refresh",
  cursorField: "",
  writeMode: "",
  limits: STRICT_LIMITS,
  contract: "evolve",
  fields: NO_RULES,
  code: "",
  newStreams: "add",
  naming: "",
};

interface PatternConfig {
  patterns?: {
    match?: string[];
    sync_mode?: SyncMode;
    cursor_field?: string | null;
    write_mode?: WriteMode | null;
    allow_empty?: boolean;
    max_rejected_share?: number;
    contract?: Contract;
    fields?: Partial<FieldRules> | null;
    transforms?: { code: string }[];
  } | null;
  naming?: string | null;
  new_streams?: string | null;
}

export function patternValues({ patterns, naming, new_streams }: PatternConfig): PatternValues {
  return {
    match: (patterns?.match ?? []).join("\n"),
    syncMode: patterns?.sync_mode ?? "full_refresh",
    cursorField: patterns?.cursor_field ?? "",
    writeMode: patterns?.write_mode ?? "",
    limits: limitsOf(patterns ?? undefined),
    contract: patterns?.contract ?? "evolve",
    fields: rulesOf(patterns?.fields),
    code: patterns?.transforms?.[0]?.code ?? "",
    newStreams: (new_streams as NewStreams | null | undefined) ?? "add",
    naming: naming ?? "",
  };
}

/** The patterns of a text with one per line. */
export function patternList(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  return [...new Set(lines.filter(Boolean))];
}

/** The values without what decides only how records arrive, and not which streams match. */
export function withoutDefaults(values: PatternValues): PatternValues {
  return { ...values, contract: "evolve", fields: NO_RULES, code: "" };
}

/** Returns the parts of the definition that the API accepts; all are null without a pattern. */
export function patternConfig(values: PatternValues) {
  const match = patternList(values.match);
  const naming = values.naming.trim() || null;
  if (match.length === 0) return { patterns: null, new_streams: null, naming };
  return {
    patterns: {
      match,
      sync_mode: values.syncMode,
      cursor_field: values.syncMode === "incremental" ? values.cursorField.trim() || null : null,
      write_mode: values.writeMode || null,
      ...streamLimits(values.limits),
      contract: values.contract,
      fields: hasRules(values.fields) ? values.fields : null,
      transforms: transformsOf(values.code),
    },
    new_streams: values.newStreams,
    naming,
  };
}

export const NEW_STREAMS: Record<NewStreams, string> = {
  add: "Add them",
  ask: "Ask first",
  ignore: "Ignore them",
};

/** The write modes that fit the sync mode. */
export function patternWriteModes(syncMode: SyncMode): WriteMode[] {
  return syncMode === "full_refresh" ? ["replace", "append"] : ["merge", "append"];
}
