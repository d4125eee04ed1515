import type { SourceChange } from "@/api/types";

/** What has changed, in words. A type that is not known is left out. */
export function changeInWords({ kind, column, before, after }: SourceChange): string {
  switch (kind) {
    case "column_added":
      return `new column ${column}${after && ` (${after})`}`;
    case "column_removed":
      return `column ${column}${before && ` (${before})`} is gone`;
    case "type_changed":
      return `column ${column} was ${before} and is ${after} now`;
    case "key_changed":
      return `the primary key was ${before || "none"} and is ${after || "none"} now`;
    case "stream_missing":
      return "the source no longer has this stream, or its user cannot read it";
  }
}

/** What a new column does now, or an empty text. */
export function effectInWords({ effect }: SourceChange): string {
  return effect ? EFFECTS[effect] : "";
}

const EFFECTS: Record<NonNullable<SourceChange["effect"]>, string> = {
  arrives: "It arrives.",
  left_out: "It is left out.",
  fails_runs: "Runs fail until it is accepted, or until the contract of the stream is changed.",
  leaves_out_records: "Records with a value in it are left out.",
};
