"""Let a pipeline read more streams or fewer, protect fields, read streams again, and decide about changes at its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.agent.guided.intents import finding
from apps.agent.guided.intents.finding import Rows
from apps.agent.guided.matching import matching
from apps.agent.guided.requests import (
    AddStreams,
    Backfill,
    ChangeField,
    RemoveStreams,
    SourceChanges,
)
from apps.agent.guided.turns import Turn
from apps.agent.tools.decide_source_changes.tool import describe_change
from apps.json import JsonObject

DONE = {"hash": "hashed", "redact": "redacted", "drop": "dropped"}
EARLIER = "Rows that have arrived before stay as they are until the stream is read again."


def add_streams(turn: Turn, request: AddStreams) -> str:
    pipeline = finding.find_pipeline(turn, request.pipeline)
    config = finding.read_detail(turn, pipeline)["config"]
    arguments: dict[str, Any] = {"pipeline_id": str(pipeline["id"])}
    if request.streams:
        source = _source_of(turn, pipeline, config)
        found = [finding.find_stream(turn, source, name) for name in request.streams]
        names = [finding.stream_name(stream) for stream in found]
        arguments["add_streams"] = [{"stream": name} for name in names]
    if request.patterns:
        arguments["patterns"] = {"match": [*_patterns_of(config), *request.patterns]}
    added = _listed([*arguments.get("add_streams", ()), *request.patterns])
    text = f"I propose that {pipeline['name']} also reads {added}."
    turn.propose("update_pipeline", arguments, text)
    return f"{pipeline['name']} reads {added} from its next run on."


def remove_streams(turn: Turn, request: RemoveStreams) -> str:
    pipeline = finding.find_pipeline(turn, request.pipeline)
    config = finding.read_detail(turn, pipeline)["config"]
    arguments: dict[str, Any] = {"pipeline_id": str(pipeline["id"])}
    names = [find_read_stream(turn, pipeline, config, name) for name in request.streams]
    if names:
        arguments["remove_streams"] = names
    if request.patterns:
        excluded = [f"!{pattern.removeprefix('!')}" for pattern in request.patterns]
        arguments["patterns"] = {"match": [*_patterns_of(config), *excluded]}
    removed = _listed([*names, *request.patterns])
    text = f"I propose that {pipeline['name']} does not read {removed} any more. What has arrived stays."
    turn.propose("update_pipeline", arguments, text)
    return (
        f"{pipeline['name']} does not read {removed} from its next run on. What has arrived stays."
    )


def change_field(turn: Turn, request: ChangeField) -> str:
    pipeline = finding.find_pipeline(turn, request.pipeline)
    config = finding.read_detail(turn, pipeline)["config"]
    stream = find_read_stream(turn, pipeline, config, request.stream)
    setting = {"drop": True} if request.treatment == "drop" else {"protect": request.treatment}
    rules = [{"field": field, **setting} for field in request.fields]
    arguments: dict[str, Any] = {
        "pipeline_id": str(pipeline["id"]),
        "streams": [{"stream": stream, "fields": rules}],
    }
    fields, done = _listed(request.fields), DONE[request.treatment]
    text = f"I propose that {fields} of {stream} {'is' if len(rules) == 1 else 'are'} {done} from the next run on."
    turn.propose("update_pipeline", arguments, text)
    return f"{pipeline['name']} is changed: {fields} of {stream} {'is' if len(rules) == 1 else 'are'} {done}. {EARLIER}"


def backfill(turn: Turn, request: Backfill) -> str:
    pipeline = finding.find_pipeline(turn, request.pipeline)
    config = finding.read_detail(turn, pipeline)["config"]
    stream = find_read_stream(turn, pipeline, config, request.stream)
    arguments: dict[str, Any] = {"pipeline_id": str(pipeline["id"]), "streams": [stream]}
    if request.start:
        arguments["start"] = request.start
    if request.end:
        arguments["end"] = request.end
    start = f"from {request.start}" if request.start else "from the beginning"
    end = f"before {request.end}" if request.end else "before its saved position"
    text = f"I propose to read {stream} again, {start}, and {end}."
    turn.propose("backfill_streams", arguments, text)
    return f"The backfill of {stream} is started. Runs that are due go first, between its chunks."


def source_changes(turn: Turn, request: SourceChanges) -> str:
    pipeline = finding.find_pipeline(turn, request.pipeline)
    arguments = {"pipeline_id": str(pipeline["id"]), "part": "source_changes"}
    rows = turn.read("show_pipeline", arguments).rows("source_changes")
    if not rows:
        return f"Nothing has changed at the source of {pipeline['name']} that nobody has decided about."
    lines = [f"- **{row['stream']}**: {describe_change(row)}" for row in rows]
    text = "\n".join([f"At the source of {pipeline['name']}:", *lines])
    if not request.decision:
        return f'{text}\n\nSay "accept the changes of {pipeline["name"]}" or "ignore the changes of {pipeline["name"]}".'
    decision: dict[str, Any] = {
        "pipeline_id": str(pipeline["id"]),
        "change_ids": [str(row["id"]) for row in rows],
        "decision": request.decision,
    }
    proposal = f"{text}\n\nI propose to {request.decision} {'this' if len(rows) == 1 else 'these'}."
    turn.propose("decide_source_changes", decision, proposal)
    return f"The changes at the source of {pipeline['name']} are {request.decision.rstrip('e')}ed."


def find_read_stream(turn: Turn, pipeline: JsonObject, config: JsonObject, name: str) -> str:
    """Return the name of a stream that the pipeline reads. Asks if it is not clear which one is meant.

    Without a name it is the only stream.
    """
    named: Rows = [stream for stream in config["streams"] if isinstance(stream, dict)]  # type: ignore[union-attr]
    if not name and len(named) == 1 and not config.get("patterns"):
        return _stream_of(named[0])
    found = matching(name, named, _stream_of)
    if not found and config.get("patterns"):
        arguments = {"pipeline_id": str(pipeline["id"]), "part": "streams", "search": name[:100]}
        named = turn.read("show_pipeline", arguments).rows("streams")
        found = matching(name, named, _stream_of)
    if len(found) == 1:
        return _stream_of(found[0])
    choices = [_stream_of(stream) for stream in found or named]
    if not choices:
        raise turn.end(f'{pipeline["name"]} reads no stream "{name}".')
    question = f'{pipeline["name"]} reads no stream "{name}". Which one do you mean?'
    if not name:
        question = f"Which stream of {pipeline['name']}?"
    asked = f'Which stream do you mean by "{name}"?' if found else question
    return choices[turn.choose(asked, choices)]


def _stream_of(row: JsonObject) -> str:
    return str(row["stream"])


def _source_of(turn: Turn, pipeline: JsonObject, config: JsonObject) -> JsonObject:
    connectors = finding.read_rows(turn, "list_connectors", {}, "connectors", limit=200)
    side = config["source"]
    wanted = str(side.get("connector_id")) if isinstance(side, dict) else ""
    source = next((row for row in connectors if str(row["id"]) == wanted), None)
    if source is None:
        raise turn.end(f"{pipeline['name']} has no saved source that you can use.")
    return source


def _patterns_of(config: JsonObject) -> list[str]:
    patterns = config.get("patterns")
    match = patterns.get("match") if isinstance(patterns, dict) else None
    return [str(pattern) for pattern in match] if isinstance(match, list) else []


def _listed(names: Sequence[Any]) -> str:
    texts = [str(each["stream"]) if isinstance(each, dict) else str(each) for each in names]
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
