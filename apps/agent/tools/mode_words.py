"""The modes of a stream in the words of the dashboard."""

from __future__ import annotations

from apps.engine.catalogue import SYNC_MODE_WORDS, WRITE_MODE_WORDS
from apps.pipelines.definition import StreamDocument
from apps.pipelines.definition.document import FieldRuleDocument


def describe_sync_mode(stream: StreamDocument) -> str:
    """Return the sync mode, and the cursor field if the stream has one."""
    mode = SYNC_MODE_WORDS[stream["sync_mode"]]
    return f"{mode}, cursor {stream['cursor_field']}" if stream["cursor_field"] else mode


def describe_write_mode(stream: StreamDocument) -> str:
    return WRITE_MODE_WORDS[stream["write_mode"]]


# The same words as in frontend/src/format/modes.ts, patterns.ts and fields.ts.
CONTRACTS = {
    "evolve": "Let them arrive",
    "freeze": "Fail the run",
    "drop_columns": "Leave out new columns",
    "drop_rows": "Skip their records",
}
SNAPSHOT_SCOPES = {
    "auto": "One for all streams, if reading takes less than 15 minutes",
    "run": "One for all streams",
    "stream": "One for each stream",
}
NEW_STREAMS = {"add": "Add them", "ask": "Ask first", "ignore": "Ignore them"}


def describe_rule(rule: FieldRuleDocument) -> str:
    """Return a rule for a field, such as "mail: hash"."""
    treatment = "drop" if rule.get("drop") else rule.get("protect", "keep")
    name, cast = rule.get("name"), rule.get("type")
    parts = [treatment, f"as {name}" if name else "", f"cast to {cast}" if cast else ""]
    return f"{rule['field']}: {', '.join(filter(None, parts))}"


def describe_rules(stream: StreamDocument) -> str:
    """Return the rules for the fields of a stream in one line, or an empty text."""
    if "fields" not in stream:
        return ""
    others = ["other fields: drop"] if stream["fields"]["others"] == "drop" else []
    return "; ".join([*map(describe_rule, stream["fields"]["rules"]), *others])
