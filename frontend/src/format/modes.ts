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
