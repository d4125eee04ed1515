"""The changes of a pipeline as a card shows them: names instead of ids, and words instead of codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from uuid import UUID

from apps.agent.tools.base import ToolContext
from apps.agent.tools.links import connector_label, kind_label
from apps.connectors import services
from apps.orgs.exceptions import NotFound
from apps.pipelines.schedules.blackouts import describe_window

CONNECTOR_FIELDS = ("source.connector_id", "destination.connector_id")
OVERLAP_FIELD, BLACKOUTS_FIELD = "schedule.overlap", "schedule.blackouts"
STREAM_FIELD = re.compile(r"^streams\.\d+\.")
# The fields of changes with the streams that a pipeline reads from now on, and that it does not read any more.
ADDED, REMOVED = "streams.added", "streams.removed"
OVERLAPS = {
    "skip": "Skip the new run",
    "queue": "Start the new run afterwards",
    "cancel_other": "Cancel the run before",
}
UNKNOWN_CONNECTOR = "A connector that you cannot see, or that was deleted"

# The words of a summary. Other fields are named by the last part of their name, such as "write mode".
FIELDS_IN_WORDS = {
    "timeout_seconds": "time limit of a run",
    "max_attempts": "attempts of a run",
    "source.connector_id": "source",
    "destination.connector_id": "destination",
    "new_streams": "handling of new streams",
    "naming": "naming rule",
    "patterns.match": "patterns",
    ADDED: "list of streams",
    REMOVED: "list of streams",
    "allow_empty": "handling of an empty result",
    "max_rejected_share": "share of records that may be rejected",
    "fields.rules": "rules for fields",
    "fields.others": "rules for fields",
}

ShownChange = dict[str, object]


def shown_changes(
    context: ToolContext, changes: Iterable[Mapping[str, object]]
) -> list[ShownChange]:
    """Return the changes with values that a person can read."""
    return [
        {
            "field": change["field"],
            "before": _shown_value(context, str(change["field"]), change["before"]),
            "after": _shown_value(context, str(change["field"]), change["after"]),
            **({"stream": change["stream"]} if "stream" in change else {}),
        }
        for change in changes
    ]


def changed_fields_in_words(changes: Iterable[Mapping[str, object]]) -> str:
    """Return the changed fields, such as "the schedule, the write mode"."""
    fields = dict.fromkeys(_field_in_words(str(change["field"])) for change in changes)
    return ", ".join(f"the {field}" for field in fields)


def _field_in_words(field: str) -> str:
    if field.startswith("schedule."):
        return "schedule"
    setting = STREAM_FIELD.sub("", field)
    return FIELDS_IN_WORDS.get(setting) or setting.rpartition(".")[2].replace("_", " ")


def _shown_value(context: ToolContext, field: str, value: object) -> object:
    if field == BLACKOUTS_FIELD and isinstance(value, list):
        return [describe_window(window) for window in value]
    if not isinstance(value, str):
        return value
    if field == OVERLAP_FIELD:
        return OVERLAPS.get(value, value)
    if field == "source.kind":
        return kind_label(value)
    return _connector_name(context, value) if field in CONNECTOR_FIELDS else value


def _connector_name(context: ToolContext, connector_id: str) -> str:
    try:
        connector = services.find_connector(
            org=context.org, by=context.by, connector_id=UUID(connector_id)
        )
    except (NotFound, ValueError):
        return UNKNOWN_CONNECTOR
    return connector_label(connector)
