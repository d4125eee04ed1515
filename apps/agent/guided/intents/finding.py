"""Find what a request means, with the tools that list objects. Ask the user if it is not clear."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, ToolMessage

from apps.agent.guided import vocabulary
from apps.agent.guided.matching import matching, matching_connectors, named_in
from apps.agent.guided.turns import Turn
from apps.json import JsonObject
from apps.pipelines.models import RunKind

Rows = list[dict[str, Any]]
_PAGE = re.compile(r"/(?P<kind>pipelines|runs)/(?P<id>[0-9a-f-]{36})(?:/.*)?")
_THIS = re.compile(r"\bthis\b", re.IGNORECASE)
_LIMITS = (1, 4, 20)  # the limit of a list is divided by these numbers until the answer fits


def read_rows(turn: Turn, tool: str, arguments: JsonObject, key: str, *, limit: int) -> Rows:
    """Return the rows that a tool lists. If they are too many for one answer, fewer are asked for."""
    for divisor in _LIMITS:
        answer = turn.call(tool, {**arguments, "limit": max(1, limit // divisor)})
        if not answer.ok:
            raise turn.end(answer.failure)
        if not answer.was_cut:
            return answer.rows(key)
    raise turn.end("The answer is too long for me.")


def find_pipeline(turn: Turn, name: str) -> dict[str, Any]:
    """Return the pipeline of this name, or the one that "it" means: at least its id and name."""
    if name.lower() in vocabulary.PRONOUNS:
        return _mentioned_pipeline(turn)
    rows = read_rows(turn, "list_pipelines", {"search": ""}, "pipelines", limit=100)
    found = (
        named_in(turn.request, name, rows, _row_name)
        or matching(name, rows, _row_name)
        or matching(name, rows, lambda row: str(row.get("stream") or ""))
    )
    if not rows:
        raise turn.end("There are no pipelines yet.")
    if len(found) == 1:
        return found[0]
    question = f'There is no pipeline "{name}". Which one do you mean?'
    return choose_row(turn, "Which pipeline do you mean?" if found else question, found or rows)


def _row_name(row: JsonObject) -> str:
    return str(row["name"])


def read_detail(turn: Turn, pipeline: dict[str, Any]) -> dict[str, Any]:
    """Return all settings of a found pipeline. It has them already if the request said "it"."""
    if "schedule_in_words" in pipeline:
        return pipeline
    return _read_settings(turn, str(pipeline["id"]))


def _read_settings(turn: Turn, pipeline_id: str) -> dict[str, Any]:
    return turn.read("show_pipeline", {"pipeline_id": pipeline_id}).values


def choose_row(turn: Turn, question: str, rows: Rows) -> dict[str, Any]:
    """Return the row that the user chooses by its name."""
    return rows[turn.choose(question, [str(row["name"]) for row in rows])]


def run_of_page(turn: Turn) -> str:
    """Return the id of the run whose page the user sees, or ""."""
    page = _PAGE.fullmatch(turn.page)
    return page["id"] if page and page["kind"] == "runs" else ""


def _mentioned_pipeline(turn: Turn) -> dict[str, Any]:
    """Return the pipeline of the request before if it was sent from the same page, or else the one of the page."""
    last_id = _last_pipeline_id(turn)
    names_page = _THIS.search(turn.request) is not None
    if last_id and turn.page_was_open and not names_page:
        return _read_settings(turn, last_id)
    page = _PAGE.fullmatch(turn.page)
    if page and page["kind"] == "runs":
        pipeline = turn.read("show_run", {"run_id": page["id"]}).values.get("pipeline")
        if isinstance(pipeline, dict):
            return pipeline
    pipeline_id = page["id"] if page and page["kind"] == "pipelines" else last_id
    if pipeline_id:
        return _read_settings(turn, pipeline_id)
    rows = read_rows(turn, "list_pipelines", {"search": ""}, "pipelines", limit=100)
    if not rows:
        raise turn.end("There are no pipelines yet.")
    return rows[0] if len(rows) == 1 else choose_row(turn, "Which pipeline do you mean?", rows)


def _last_pipeline_id(turn: Turn) -> str:
    """Return the id of the pipeline that an earlier turn has used or created last, or ""."""
    for message in reversed(turn.earlier):
        if isinstance(message, ToolMessage) and message.name == "create_pipelines":
            created = re.findall(r'"id":\s*"([0-9a-f-]{36})"', message.text)
            if created:
                return str(created[-1])
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            if pipeline_id := call["args"].get("pipeline_id"):
                return str(pipeline_id)
    return ""


def find_connector(turn: Turn, name: str, role: str, connectors: Rows) -> dict[str, Any]:
    """Return the source or destination of this name or kind. Without a name, the only one there is."""
    candidates = [row for row in connectors if row["role"] == role]
    if not candidates:
        raise turn.end(f'There is no {role} yet. Say, for example, "connect postgres as a {role}".')
    if not name:
        question = (
            "Which source do you mean?" if role == "source" else "Where should it be written to?"
        )
        return candidates[0] if len(candidates) == 1 else choose_row(turn, question, candidates)
    found = matching_connectors(name, candidates)
    if len(found) == 1:
        return dict(found[0])
    if found:
        return choose_row(turn, f'Which {role} do you mean by "{name}"?', found)
    return choose_row(turn, f'There is no {role} "{name}". Which one do you mean?', candidates)


def streams_matching(turn: Turn, connector_ids: Sequence[str], name: str) -> list[Rows]:
    """Return for each source its streams that match the name best.

    All sources are searched at the same time. An organization may make only a few such calls at once, so a call that
    was refused is made again.
    """
    words = re.findall(r"[^\W_]+", name)
    search = max(words, key=len, default=name).removesuffix("s")[:100]
    calls = [
        ("list_streams", {"connector_id": connector_id, "search": search, "limit": 12})
        for connector_id in connector_ids
    ]
    answers = [
        turn.call(*call) if answer.is_busy else answer
        for call, answer in zip(calls, turn.call_all(calls), strict=True)
    ]
    return [matching(name, answer.rows("streams"), stream_name) for answer in answers]


def find_stream(turn: Turn, connector: JsonObject, name: str) -> dict[str, Any]:
    """Return the stream of this name. Without a name, the only one there is."""
    if name:
        (found,) = streams_matching(turn, [str(connector["id"])], name)
        if len(found) == 1:
            return dict(found[0])
        if found:
            return choose_row(turn, f'Which stream do you mean by "{name}"?', list(found))
    rows = all_streams(turn, connector)
    if not rows:
        raise turn.end(f"The source {connector['name']} offers no streams.")
    if not name:
        question = f"Which stream of {connector['name']}?"
        return rows[0] if len(rows) == 1 else choose_row(turn, question, rows)
    question = f'The source {connector["name"]} has no stream "{name}". Which one do you mean?'
    return choose_row(turn, question, rows)


def all_streams(turn: Turn, connector: JsonObject) -> Rows:
    arguments = {"connector_id": str(connector["id"])}
    return read_rows(turn, "list_streams", arguments, "streams", limit=50)


def stream_name(stream: JsonObject) -> str:
    return str(stream["name"])


def streams_in_words(pipeline: JsonObject) -> str:
    """Return the only stream of a pipeline, or its first one or its patterns with the number of all."""
    count = pipeline.get("stream_count")
    shown = str(pipeline["stream"])
    return f"{shown} ({count:,} streams)" if isinstance(count, int) and count != 1 else shown


def last_run_in_words(status: str | None, kind: str | None) -> str:
    """Return for example "running (backfill)"; an empty text if there was no run."""
    if not status or kind in {None, RunKind.ORDINARY}:
        return status or ""
    return f"{status} ({kind})"
