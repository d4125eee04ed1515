// The same words as in apps/engine/catalogue.py.
export const SYNC_MODES: Record<string, string> = {
  full_refresh: "Full refresh",
  incremental: "Incremental",
};

export const SYNC_MODE_HINTS: Record<string, string> = {
  full_refresh: "Each run reads all records.",
  incremental: "Each run reads only the records that are new since the last run.",
};

export const WRITE_MODES: Record<string, string> = {
  replace: "Overwrite table",
  append: "Append",
  merge: "Merge on primary key",
};

/** In which snapshots a run reads several streams of a database. */
export const SNAPSHOT_SCOPES: Record<string, string> = {
  auto: "One for all, if read in 15 minutes",
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

export type Contract = "evolve" | "freeze" | "drop_columns" | "drop_rows";

/** What happens to new columns and to values of another type: the contract of a stream. */
export const CONTRACTS: Record<Contract, string> = {
  evolve: "Let them arrive",
  freeze: "Fail the run",
  drop_columns: "Leave out new columns",
  drop_rows: "Skip their records",
};

export const CONTRACT_HINTS: Record<Contract, string> = {
  evolve: "New columns arrive. A record with a value that is not of the type of its column is rejected.",
  freeze: "A new column, or a value of another type, fails the run before anything is published.",
  drop_columns:
    "New columns do not arrive; the log of the run names them. A record with a value of another type is rejected.",
  drop_rows:
    "A record with a value in a new column, or with a value of another type, does not arrive. The page of the run shows it among the skipped records.",
};
