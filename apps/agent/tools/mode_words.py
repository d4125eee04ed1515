"""The modes of a stream in the words of the dashboard."""

from __future__ import annotations

from apps.pipelines.definition import StreamDocument

# The same words as in frontend/src/format/modes.ts.
SYNC_MODES = {"full_refresh": "Full refresh", "incremental": "Incremental"}
WRITE_MODES = {
    "replace": "Overwrite table",
    "append": "Append",
    "merge": "Merge on primary key",
}


def describe_sync_mode(stream: StreamDocument) -> str:
    """Return the sync mode, and the cursor field if the stream has one."""
    mode = SYNC_MODES[stream["sync_mode"]]
    return f"{mode}, cursor {stream['cursor_field']}" if stream["cursor_field"] else mode


def describe_write_mode(stream: StreamDocument) -> str:
    return WRITE_MODES[stream["write_mode"]]
