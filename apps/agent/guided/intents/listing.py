"""List pipelines, runs, connectors and streams."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from apps.agent.guided import vocabulary
from apps.agent.guided.intents import finding
from apps.agent.guided.requests import ListObjects
from apps.agent.guided.turns import Turn
from apps.agent.tools.links import kind_label
from apps.pipelines.schedules import words

SHOWN = 20  # rows in a text


def list_objects(turn: Turn, request: ListObjects) -> str:
    return _LISTS[request.kind](turn, request)


def _pipelines(turn: Turn, request: ListObjects) -> str:
    answer = turn.read("list_pipelines", {"search": request.of, "limit": SHOWN})
    rows = [
        row
        for row in answer.rows("pipelines")
        if not request.status or row.get("last_run_status") == request.status
    ]
    lines = [_pipeline_line(row) for row in rows]
    if request.status:
        return _text(lines, len(lines), f"pipeline whose last run is {request.status}")
    return _text(lines, answer.count, "pipeline")


def _pipeline_line(row: dict[str, Any]) -> str:
    state = "enabled" if row["enabled"] else "disabled"
    status = finding.last_run_in_words(row.get("last_run_status"), row.get("last_run_kind"))
    last = f"last run {status}" if status else "no runs yet"
    source = kind_label(str(row["source_kind"]))
    streams = finding.streams_in_words(row)
    return (
        f"**{row['name']}**: {streams} from {source} to {row['destination_kind']}, {state}, {last}"
    )


def _runs(turn: Turn, request: ListObjects) -> str:
    arguments: dict[str, Any] = {"limit": 10}
    if request.of and request.of.lower() not in vocabulary.PRONOUNS:
        arguments["pipeline_id"] = str(finding.find_pipeline(turn, request.of)["id"])
    if request.status:
        arguments["status"] = request.status
    answer = turn.read("list_runs", arguments)
    lines = [_run_line(row, turn.timezone or "UTC") for row in answer.rows("runs")]
    return _text(lines, answer.count, f"{request.status} run".strip())


def _run_line(row: dict[str, Any], zone: str) -> str:
    pipeline = row["pipeline"]["name"] if isinstance(row.get("pipeline"), dict) else ""
    started = words.describe_times([datetime.fromisoformat(str(row["created_at"]))], zone)
    reason = f": {row['failure']}" if row.get("failure") else ""
    return f"**{pipeline}**, {started}: {row['status']}{reason}"


def _connectors(turn: Turn, request: ListObjects) -> str:
    role = {"sources": "source", "destinations": "destination"}.get(request.kind)
    arguments: dict[str, Any] = {"search": request.of, "limit": SHOWN}
    if role:
        arguments["role"] = role
    answer = turn.read("list_connectors", arguments)
    lines = [
        f"**{row['name']}** ({kind_label(str(row['kind']))}, {row['role']})"
        for row in answer.rows("connectors")
    ]
    return _text(lines, answer.count, role or "connector")


def _streams(turn: Turn, request: ListObjects) -> str:
    connectors = finding.read_rows(
        turn, "list_connectors", {"role": "source"}, "connectors", limit=200
    )
    source = finding.find_connector(turn, request.of, "source", connectors)
    rows = finding.all_streams(turn, source)
    lines = [f"**{row['name']}** ({len(row.get('fields') or ())} columns)" for row in rows[:SHOWN]]
    return f"{source['name']}: {_text(lines, len(rows), 'stream')}"


def _text(lines: list[str], count: int, noun: str) -> str:
    if not count:
        return f"There is no {noun}."
    plural = noun.replace("pipeline whose", "pipelines whose") if " whose " in noun else f"{noun}s"
    title = f"1 {noun}:" if count == 1 else f"{count} {plural}:"
    more = [f"and {count - len(lines)} more"] if count > len(lines) else []
    return "\n".join([title, *(f"- {line}" for line in [*lines, *more])])


_LISTS: dict[str, Callable[[Turn, ListObjects], str]] = {
    "pipelines": _pipelines,
    "runs": _runs,
    "connectors": _connectors,
    "sources": _connectors,
    "destinations": _connectors,
    "streams": _streams,
}
