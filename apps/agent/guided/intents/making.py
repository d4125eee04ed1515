"""Propose pipelines: find the source, the streams and the destination, and ask for what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.agent.guided.intents import finding
from apps.agent.guided.intents.finding import Rows
from apps.agent.guided.intents.schedules import choose_schedule, schedule_argument
from apps.agent.guided.matching import matching, matching_connectors
from apps.agent.guided.requests import MakePipelines
from apps.agent.guided.turns import Turn
from apps.json import JsonObject
from apps.pipelines.definition.names import full_name
from apps.pipelines.schedules import words
from apps.pipelines.schedules.plans import Plan

MAX_SEARCHED_SOURCES = 6


def make_pipelines(turn: Turn, request: MakePipelines) -> str:
    connectors = finding.read_rows(turn, "list_connectors", {}, "connectors", limit=200)
    source, names = _find_source(turn, request, connectors)
    if request.all_streams or request.patterns:
        proposed = [_whole_source(turn, request, source, names)]
    else:
        proposed = _named_streams(turn, request, source, names)
    destination = finding.find_connector(turn, request.destination, "destination", connectors)
    plan = choose_schedule(turn, request.schedule)
    return _propose(turn, request, source, proposed, destination, plan)


@dataclass(frozen=True, slots=True)
class _Proposed:
    """What one pipeline reads: its title, and the arguments `streams` and `patterns` of its proposal."""

    title: str
    reads: JsonObject


def _whole_source(
    turn: Turn, request: MakePipelines, source: JsonObject, names: tuple[str, ...]
) -> _Proposed:
    """Return a pipeline whose patterns choose streams of the source."""
    offered = finding.all_streams(turn, source)
    if not offered:
        raise turn.end(f"The source {source['name']} offers no streams.")
    if request.separate:
        raise turn.end("Name the streams that are to get a pipeline of their own.")
    excluded = [_excluded(turn, source, name) for name in request.excluded]
    patterns: dict[str, Any] = {"match": [*(request.patterns or ("*",)), *excluded]}
    if request.write_mode:
        patterns["write_mode"] = request.write_mode
    if request.sync_mode == "incremental":
        patterns["sync_mode"] = "incremental"
        patterns["cursor_field"] = _common_cursor_field(turn, offered)
    named = [finding.find_stream(turn, source, name) for name in names]
    streams = [_proposed_stream(turn, request, each, is_only=False) for each in named]
    return _Proposed(str(source["name"]), {"streams": streams, "patterns": patterns})


def _excluded(turn: Turn, source: JsonObject, name: str) -> str:
    """Return the pattern that leaves out a stream, or the streams of a pattern."""
    if "*" in name:
        return f"!{name.removeprefix('!')}"
    stream = finding.find_stream(turn, source, name)
    return f"!{full_name(str(source['kind']), finding.stream_name(stream))}"


def _common_cursor_field(turn: Turn, streams: Rows) -> str:
    """Return the column by which streams are read incrementally. Asks if streams have different ones."""
    counts = Counter(field for stream in streams for field in _texts(stream, "cursor_fields"))
    if not counts:
        raise turn.end("No stream has a column that grows, so none can be read incrementally.")
    fields = [field for field, _ in counts.most_common()]
    if len(fields) == 1:
        return fields[0]
    question = (
        "Which column grows with each new or changed row? Streams without it are read completely."
    )
    return fields[turn.choose(question, fields)]


def _named_streams(
    turn: Turn, request: MakePipelines, source: JsonObject, names: tuple[str, ...]
) -> list[_Proposed]:
    """Return one pipeline that reads all streams, or one for each stream."""
    streams = [finding.find_stream(turn, source, name) for name in names or ("",)]
    is_only = len(streams) == 1
    reads = [_proposed_stream(turn, request, stream, is_only=is_only) for stream in streams]
    if request.separate:
        return [
            _Proposed(_title([stream], source), {"streams": [proposed]})
            for stream, proposed in zip(streams, reads, strict=True)
        ]
    return [_Proposed(_title(streams, source), {"streams": reads})]


def _title(streams: Rows, source: JsonObject) -> str:
    """Return the names of up to two streams, or the name of the source."""
    if len(streams) > 2:
        return str(source["name"])
    names = [finding.stream_name(s).rpartition(".")[2].replace("_", " ") for s in streams]
    title = " and ".join(names)
    return f"{title[:1].upper()}{title[1:]}"


def _find_source(
    turn: Turn, request: MakePipelines, connectors: Rows
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the source, and the names of the streams that are still to be found in it.

    "Copy Weather API to Warehouse" names the source in the place of the stream.
    """
    sources = [connector for connector in connectors if connector["role"] == "source"]
    if request.source or not request.streams:
        return finding.find_connector(turn, request.source, "source", connectors), request.streams
    first = request.streams[0]
    named = matching(first, sources, lambda source: str(source["name"]))
    if len(request.streams) == 1 and len(named) == 1 and len(first.split()) > 1:
        return named[0], ()
    offers = _sources_with_stream(turn, sources, first)
    if len(offers) == 1:
        return offers[0], request.streams
    if offers:
        question = f"Several sources have {first}. From which one?"
        return finding.choose_row(turn, question, offers), request.streams
    if len(request.streams) == 1 and matching_connectors(first, sources):
        return finding.find_connector(turn, first, "source", connectors), ()
    return finding.find_connector(turn, "", "source", connectors), request.streams


def _sources_with_stream(turn: Turn, sources: Rows, name: str) -> Rows:
    searched = sources[:MAX_SEARCHED_SOURCES]
    if not searched:
        return []
    found = finding.streams_matching(turn, [str(source["id"]) for source in searched], name)
    return [source for source, streams in zip(searched, found, strict=True) if streams]


def _propose(
    turn: Turn,
    request: MakePipelines,
    source: JsonObject,
    proposed: Sequence[_Proposed],
    destination: JsonObject,
    plan: Plan | None,
) -> str:
    titles = [each.title for each in proposed]
    pipeline_names = _free_names(turn, request, titles, destination)
    proposals = [
        {
            "name": name,
            "source_connector_id": str(source["id"]),
            "destination_connector_id": str(destination["id"]),
            **each.reads,
            "schedule": schedule_argument(plan),
        }
        for name, each in zip(pipeline_names, proposed, strict=True)
    ]
    when = words.describe(plan) if plan else "Without a schedule"
    subject = "this pipeline" if len(proposals) == 1 else f"these {len(proposals)} pipelines"
    text = f"I propose {subject} from {source['name']} to {destination['name']}. {when}."
    created = turn.propose("create_pipelines", {"pipelines": proposals}, text)
    return _created_text([str(row["name"]) for row in created.rows("pipelines")])


def _created_text(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f'Created {names[0]}. It is disabled: say "enable it" when it should start.'
    return f"Created {len(names)} pipelines: {', '.join(names)}. They are disabled until you enable them."


def _free_names(
    turn: Turn, request: MakePipelines, titles: Sequence[str], destination: JsonObject
) -> list[str]:
    """Return a name for each pipeline that no other pipeline has."""
    rows = finding.read_rows(turn, "list_pipelines", {"search": ""}, "pipelines", limit=100)
    taken = {str(row["name"]).lower() for row in rows}
    names = []
    for title in titles:
        wanted = f"{title} to {destination['name']}"[:110]
        if request.name and len(titles) == 1:
            wanted = request.name[:110]
        name, number = wanted, 2
        while name.lower() in taken:
            name, number = f"{wanted} {number}", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def _proposed_stream(
    turn: Turn, request: MakePipelines, stream: JsonObject, *, is_only: bool
) -> dict[str, Any]:
    name = finding.stream_name(stream)
    proposed: dict[str, Any] = {"stream": name}
    if request.table and is_only:
        proposed["table"] = request.table
    keys = _texts(stream, "primary_key")
    if request.write_mode == "merge" and not keys:
        raise turn.end(f"The stream {name} has no primary key, so its rows cannot be merged.")
    if request.write_mode:
        proposed["write_mode"] = request.write_mode
    if request.sync_mode == "incremental":
        proposed["sync_mode"] = "incremental"
        proposed["cursor_field"] = _cursor_field(turn, stream)
    if keys and (request.sync_mode == "incremental" or request.write_mode == "merge"):
        proposed["primary_key"] = keys
    return proposed


def _cursor_field(turn: Turn, stream: JsonObject) -> str:
    name = finding.stream_name(stream)
    fields = _texts(stream, "cursor_fields")
    if not fields:
        raise turn.end(
            f"The stream {name} has no column that grows, so it cannot be read incrementally."
        )
    if len(fields) == 1:
        return fields[0]
    return fields[
        turn.choose(f"Which column of {name} grows with each new or changed row?", fields)
    ]


def _texts(stream: JsonObject, name: str) -> list[str]:
    values = stream.get(name)
    return [str(value) for value in values] if isinstance(values, list) else []
