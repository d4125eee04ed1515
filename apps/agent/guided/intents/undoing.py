"""Undo the last change of the conversation: propose it back, or say why that is not possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apps.agent.guided.turns import EarlierCall, Turn

NOTHING_TO_UNDO = "In this conversation I have changed nothing that I could undo."
CHANGED_ON_PAGE = "You can change this back on the page of the pipeline, under Schedule."
CANNOT_BE_UNDONE = {  # {tool: what is said about its call}
    "create_pipelines": 'To undo the creation, delete the pipeline: say, for example, "delete it".',
    "delete_pipeline": "The deletion of a pipeline cannot be undone. You can create it again.",
    "delete_connector": "The deletion of a connector cannot be undone. You can connect it again.",
    "request_connector": 'To undo it, delete the connector: say, for example, "delete the source NAME".',
    "run_pipeline": 'A run that was started cannot be undone. While it is in progress, say "cancel it".',
    "retry_run": 'A run that is tried again cannot be undone. While it is in progress, say "cancel it".',
    "cancel_run": 'A cancelled run can be tried again: say "retry it".',
    "backfill_streams": "A backfill can be cancelled on the page of its pipeline, under State. What was loaded stays.",
    "replay_rejected_records": "Rows that were sent again stay in the destination. While the run is in progress, say "
    '"cancel it".',
    "decide_source_changes": "A decision about a change at the source cannot be taken back. You can restore an earlier version"
    " of the pipeline, or change its settings.",
    "set_file_watch": CHANGED_ON_PAGE,
    "create_hook": CHANGED_ON_PAGE,
    "update_hook": CHANGED_ON_PAGE,
    "delete_hook": "The deletion of a hook cannot be undone. You can create it again.",
    "request_follow_up": CHANGED_ON_PAGE,
    "update_follow_up": CHANGED_ON_PAGE,
    "delete_follow_up": "The deletion of a call after a run cannot be undone. You can add it again.",
    "save_source_version": "You can restore an earlier version on the page of the source, under Versions.",
}
STREAM_FIELDS = frozenset(
    {"stream", "table", "sync_mode", "cursor_field", "primary_key", "write_mode"}
)
# The values of limits that are not stored, so that a change before which there was none can be undone.
DEFAULT_LIMITS = {"allow_empty": False, "max_rejected_share": 0.0}
OF_DEFINITION = (
    "streams.added",
    "streams.removed",
    "patterns",
    "naming",
    "new_streams",
    "snapshot",
)
PLAIN_FIELDS = frozenset({"name", "description", "tags", "timeout_seconds", "max_attempts"})
FIELDS_WITH_IDS = {
    "domain.id": "domain_id",
    "source.connector_id": "source_connector_id",
    "destination.connector_id": "destination_connector_id",
}

Arguments = dict[str, Any]


def undo(turn: Turn) -> str:
    call = next(
        (c for c in turn.earlier_calls() if c.tool in _UNDO or c.tool in CANNOT_BE_UNDONE), None
    )
    if call is None:
        return NOTHING_TO_UNDO
    if call.tool in CANNOT_BE_UNDONE:
        return CANNOT_BE_UNDONE[call.tool]
    name = call.answer.content.get("name") or "the pipeline"
    tool, arguments = call.tool, _UNDO[call.tool](call)
    if call.tool == "update_pipeline" and _changes_several_streams(call):
        tool, arguments = _streams_back(call)
    if arguments is None:
        return f"I cannot undo this change of {name}. You can change it on its page."
    pipeline = {"pipeline_id": call.arguments["pipeline_id"]}
    text = f"I propose to undo the last change of {name}."
    turn.propose(tool, {**pipeline, **arguments}, text)
    return "The last change is undone."


def _changes_several_streams(call: EarlierCall) -> bool:
    """Whether the definition was changed in a way that the arguments of a single stream cannot undo."""
    fields = [str(change["field"]) for change in call.answer.rows("changes")]
    names_stream = any("stream" in change for change in call.answer.rows("changes"))
    return names_stream or any(
        field.startswith((*OF_DEFINITION, "streams.0.fields", "streams.0.contract"))
        for field in fields
    )


def _streams_back(call: EarlierCall) -> tuple[str, Arguments | None]:
    """Return the call that restores the version before, or that takes back decisions about streams of patterns."""
    fields = [str(change["field"]) for change in call.answer.rows("changes")]
    before, after = (call.answer.content.get(name) for name in ("version_before", "version"))
    if not all(field.startswith(("streams.", *OF_DEFINITION)) for field in fields):
        return call.tool, None
    if before != after:
        return "restore_pipeline_version", {"number": before}
    added: Any = call.arguments.get("add_streams") or []
    removed: Any = call.arguments.get("remove_streams") or []
    return call.tool, {
        "add_streams": [{"stream": name} for name in removed],
        "remove_streams": [stream["stream"] for stream in added],
    }


def _undo_update(call: EarlierCall) -> Arguments | None:
    """Return the values before the change, or None if the tool cannot set one of them."""
    changes = call.answer.content.get("changes")
    if not isinstance(changes, Sequence):
        return None
    before = {str(change["field"]): change["before"] for change in changes}
    before.pop("domain.name", None)
    return _arguments(before)


def _arguments(before: Mapping[str, Any]) -> Arguments | None:
    arguments: Arguments = {}
    schedule: Arguments = {}
    stream: Arguments = {}
    for field, value in before.items():
        group, _, name = field.rpartition(".")
        if field in PLAIN_FIELDS:
            arguments[field] = value
        elif field in FIELDS_WITH_IDS:
            arguments[FIELDS_WITH_IDS[field]] = value
        elif group == "schedule":
            schedule[name] = value
        elif group == "streams.0" and name in STREAM_FIELDS:
            stream[name] = value
        elif group == "streams.0" and name in DEFAULT_LIMITS:
            stream[name] = DEFAULT_LIMITS[name] if value is None else value
        elif field not in ("schedule", "source.kind", "destination.kind"):
            return None
    if schedule or "schedule" in before:
        if "end_date" in schedule and schedule["end_date"] is None and _had_schedule(schedule):
            return None  # The tool does not remove a last day.
        arguments["schedule"] = (
            {name: value for name, value in schedule.items() if value is not None}
            if _had_schedule(schedule)
            else None
        )
    return {**arguments, "streams": [stream]} if stream else arguments


def _had_schedule(before: Mapping[str, Any]) -> bool:
    """Whether the pipeline had a schedule, by the values of its schedule that have changed. Each schedule has a time zone."""
    return bool(before) and before.get("timezone", "unchanged") is not None


def _undo_enabled(call: EarlierCall) -> Arguments | None:
    return {"enabled": not call.arguments["enabled"]}


def _undo_paused(call: EarlierCall) -> Arguments | None:
    return {"paused": not call.arguments["paused"]}


def _undo_restore(call: EarlierCall) -> Arguments | None:
    """Restore the version before the restored one, which is the newest."""
    version = call.answer.content.get("version")
    return {"number": version - 1} if isinstance(version, int) else None


_UNDO: dict[str, Callable[[EarlierCall], Arguments | None]] = {
    "update_pipeline": _undo_update,
    "set_pipeline_enabled": _undo_enabled,
    "set_schedule_paused": _undo_paused,
    "restore_pipeline_version": _undo_restore,
}
