"""Decide whether a stream can be backfilled, and how its rows are written again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from apps.connectors import catalogue
from apps.engine.stream_keys import stream_key
from apps.engine.sync import state
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.definition import Definition, StreamDocument
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import find_stream, known_documents
from apps.pipelines.models import Pipeline
from apps.pipelines.visibility import find_pipeline
from apps.runs.models import BackfillMode

# Kinds that can read a window of a cursor field, and kinds that can replace the rows of a window.
WINDOW_SOURCES = frozenset({"postgres"})
WINDOW_DESTINATIONS = frozenset({"postgres", "duckdb"})


@dataclass(frozen=True, slots=True)
class Possibility:
    """Whether a stream can be backfilled: how its rows are written again, or the reason why not."""

    stream: str
    cursor_field: str  # empty if it has none
    mode: str  # of BackfillMode; empty if it cannot be backfilled
    refusal: str = ""
    reads_whole: bool = False  # whether all of it is read, because the source has no windows
    position: Mapping[str, Any] | None = None  # the saved position of the stream

    @property
    def latest_end(self) -> str | None:
        """The value of the cursor field at which a window ends at the latest."""
        after = (self.position or {}).get("after")
        return str(after[0]) if isinstance(after, list) and after else None


def list_possibilities(*, org: Org, by: Principal, pipeline_id: UUID) -> list[Possibility]:
    """Return for each stream of the pipeline whether it can be backfilled. Raises NotFound."""
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    definition = Definition(versions.get_version(org, pipeline, pipeline.version).definition)
    return possibilities(with_matched_streams(org, pipeline, definition), org.pk, pipeline_id)


def with_matched_streams(org: Org, pipeline: Pipeline, definition: Definition) -> Definition:
    """Return the definition with the streams that its patterns have chosen so far."""
    return definition.with_streams(
        [*definition.streams, *known_documents(org, pipeline, definition)]
    )


def possibilities(definition: Definition, org_id: UUID, pipeline_id: UUID) -> list[Possibility]:
    keys = {
        each["stream"]: stream_key(org_id, pipeline_id, each["stream"])
        for each in definition.streams
    }
    states = state.read_states(settings.ENGINE_DATABASE_URL, list(keys.values()))
    found = []
    for stream in definition.streams:
        stream_state = states.get(keys[stream["stream"]])
        position = stream_state.position if stream_state else None
        found.append(_possibility(definition, stream, orjson.loads(position) if position else None))
    return found


def _possibility(
    definition: Definition, stream: StreamDocument, position: Mapping[str, Any] | None
) -> Possibility:
    name, cursor_field = stream["stream"], stream["cursor_field"] or ""
    reads_whole = definition.document["source"]["kind"] not in WINDOW_SOURCES
    refusal = _refusal(definition, stream, position, reads_whole=reads_whole)
    if refusal:
        return Possibility(name, cursor_field, "", refusal, reads_whole, position)
    mode = BackfillMode.MERGE if stream["write_mode"] == "merge" else BackfillMode.REPLACE
    return Possibility(name, cursor_field, mode, "", reads_whole, position)


def _refusal(
    definition: Definition,
    stream: StreamDocument,
    position: Mapping[str, Any] | None,
    *,
    reads_whole: bool,
) -> str:
    source, destination = (definition.document[side]["kind"] for side in ("source", "destination"))
    if stream["sync_mode"] != "incremental" or not (stream["cursor_field"] or reads_whole):
        return "Each run reads the whole stream, so there is nothing to backfill."
    if not position:
        return "The stream has no saved position: its next run reads all rows."
    if stream["write_mode"] == "merge":
        return ""
    if reads_whole:
        return (
            f"{_title('source', source)} cannot read a window of a stream, and all its rows would arrive twice: a backfill"
            " needs the write mode merge with a primary key."
        )
    if stream["write_mode"] != "append" or destination not in WINDOW_DESTINATIONS:
        return (
            f"The rows of a window would arrive twice in {_title('destination', destination)}: a backfill needs the"
            " write mode merge with a primary key, or a destination in which the window can be replaced (PostgreSQL"
            " or DuckDB)."
        )
    if stream["transforms"] or _changes_cursor_field(stream):
        return (
            "A transform or a rule may change the cursor field, so the rows of a window cannot be replaced: a backfill"
            " needs the write mode merge with a primary key."
        )
    return ""


def _changes_cursor_field(stream: StreamDocument) -> bool:
    """Whether the rules for the fields rename, change or drop the cursor field."""
    fields = stream.get("fields")
    if fields is None:
        return False
    rule = next((each for each in fields["rules"] if each["field"] == stream["cursor_field"]), None)
    return fields["others"] == "drop" if rule is None else len(rule) > 1


def _title(role: str, kind: str) -> str:
    found = catalogue.find(role, kind)
    return found.title if found else kind


def relevant_settings(
    org: Org, pipeline: Pipeline, version: int, name: str
) -> Mapping[str, Any] | None:
    """Return the settings that must stay the same during a backfill of the stream, None if the version does not read it."""
    definition = Definition(versions.get_version(org, pipeline, version).definition)
    stream = find_stream(org, pipeline, definition, name)
    if stream is None:
        return None
    limits = {"allow_empty", "max_rejected_share"}
    return {
        "source": definition.document["source"],
        "destination": definition.document["destination"],
        "stream": {key: value for key, value in stream.items() if key not in limits},
    }
