// The same words as in apps/agent/tools/mode_words.py.
export const SYNC_MODES: Record<string, string> = {
  full_refresh: "Full refresh",
  incremental: "Incremental",
};

export const WRITE_MODES: Record<string, string> = {
  replace: "Overwrite table",
  append: "Append",
  merge: "Merge on primary key",
};

/** In which snapshots a run reads several streams of a database. */
export const SNAPSHOT_SCOPES: Record<string, string> = {
  auto: "One for all streams, if reading takes less than 15 minutes",
  run: "One for all streams",
  stream: "One for each stream",
};

/** What another attempt of a run reads in its new snapshot. */
export const SNAPSHOT_RETRIES: Record<string, string> = {
  remaining: "The streams that are not published",
  all: "All streams",
};

export type OnStreamFailure = "continue" | "stop";

/** What a run does if one of its streams fails. */
export const ON_STREAM_FAILURE: Record<OnStreamFailure, string> = {
  continue: "Read the others",
  stop: "Stop the run",
};

export const ON_STREAM_FAILURE_HINTS: Record<OnStreamFailure, string> = {
  continue: "The run fails at its end, and a retry reads the streams that have failed.",
  stop: "Streams that have begun are finished, and no other begins. A retry reads all that are not published.",
};

/** What happens to new columns and to values of another type: the contract of a stream. */
export const CONTRACTS: Record<string, string> = {
  evolve: "Let them arrive",
  freeze: "Fail the run",
  drop_columns: "Leave out new columns",
  drop_rows: "Skip their records",
};
