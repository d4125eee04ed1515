"""The streams of a pipeline on a card: what each of them becomes."""

from __future__ import annotations

from collections.abc import Sequence

from apps.agent.tools.base import ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.mode_words import (
    CONTRACTS,
    NEW_STREAMS,
    SNAPSHOT_SCOPES,
    describe_rules,
    describe_sync_mode,
    describe_write_mode,
)
from apps.json import JsonObject
from apps.pipelines import definition as definitions
from apps.pipelines.definition import DEFAULT_SNAPSHOT, Definition, StreamDocument
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import known_documents
from apps.pipelines.models import Pipeline

MAX_SHOWN = 500  # streams of one pipeline on a card
NOT_LISTED = "The first run lists the streams of the source and chooses them"

Facts = list[tuple[str, str]]


def streams_of(context: ToolContext, pipeline: Pipeline) -> list[StreamDocument]:
    """Return the streams that the pipeline names, and those that its patterns choose, as far as they are known."""
    definition = versions.current_definition(context.org, pipeline)
    return [*definition.streams, *known_documents(context.org, pipeline, definition)]


def facts_of_streams(definition: Definition, streams: Sequence[StreamDocument]) -> Facts:
    """Return how a pipeline with several streams or with patterns reads and writes them."""
    patterns = definition.patterns
    facts = [("Streams", counted(len(streams), "stream") if streams else NOT_LISTED)]
    if patterns is not None:
        facts.append(("Patterns", definitions.describe(definition.document)))
        facts.append(("New streams", NEW_STREAMS[definition.document.get("new_streams") or "add"]))
        facts += _contract_facts(patterns.get("contract"))
    if naming := definition.document.get("naming"):
        facts.append(("Destination tables", naming))
    if definition.snapshot != DEFAULT_SNAPSHOT:
        facts.append(("Snapshots", SNAPSHOT_SCOPES[definition.snapshot["scope"]]))
    return facts


def facts_of_rules(stream: StreamDocument) -> Facts:
    """Return the rules for the fields of a stream and its contract, if it has them."""
    rules = describe_rules(stream)
    return [*([("Fields", rules)] if rules else []), *_contract_facts(stream.get("contract"))]


def _contract_facts(contract: str | None) -> Facts:
    return [("New and changed columns", CONTRACTS[contract])] if contract else []


def list_on_card(title: str, streams: Sequence[StreamDocument]) -> JsonObject:
    """Return the list of a card: the first streams, and how many there are."""
    return {
        "title": title,
        "count": len(streams),
        "rows": [_row(stream) for stream in streams[:MAX_SHOWN]],
    }


def _row(stream: StreamDocument) -> JsonObject:
    return {
        "stream": stream["stream"],
        "table": stream["table"],
        "reads": describe_sync_mode(stream),
        "writes": describe_write_mode(stream),
        "rules": "; ".join(f"{label}: {value}" for label, value in facts_of_rules(stream)),
    }
