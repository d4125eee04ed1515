"""The arguments that describe streams: the named ones, the patterns that choose streams, and the rules for fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from apps.agent.tools.base import Arguments
from apps.engine.contract import Contract, SyncMode, WriteMode
from apps.engine.field_rules import CastType, OtherFields, Protection
from apps.pipelines.definition.document import SnapshotRetry, SnapshotScope

MAX_STREAMS = 200  # named in one call; patterns choose more
NewStreams = Literal["add", "ask", "ignore"]

CONTRACT = (
    "New and changed columns: evolve lets them arrive, freeze fails the run, drop_columns leaves out new columns,"
    " drop_rows skips their records."
)
NEW_STREAMS = "What happens to new streams that the patterns choose later. Default: add."
NAMING = "Rule for tables without a name of their own, such as raw.{schema}_{table}."


class FieldRule(Arguments):
    """What happens to one field of a stream before it arrives. Without a setting the field is kept as it is."""

    field: str = Field(min_length=1, max_length=200, description="Name in the source.")
    drop: bool = Field(False, description="True if it does not arrive.")
    name: str | None = Field(None, max_length=200, description="Its name in the destination.")
    type: CastType | None = Field(None, description="The type that it is cast to.")
    protect: Protection | None = Field(
        None, description="A hash keeps equal values equal; redact hides everything."
    )


class ProposedStream(Arguments):
    """One stream of the source, and how it is written."""

    stream: str = Field(min_length=1, max_length=200, description="Name from list_streams.")
    table: str | None = Field(
        None,
        max_length=130,
        description="Destination table. Default: the stream's name, or one like it that no pipeline writes.",
    )
    sync_mode: SyncMode = Field(
        "full_refresh", description="Whether each run reads everything or only new records."
    )
    cursor_field: str | None = Field(
        None, max_length=200, description="Column that grows. Needed for incremental."
    )
    primary_key: list[str] = Field([], max_length=32, description="Columns that identify a row.")
    write_mode: WriteMode | None = Field(
        None, description="Default: the usual mode of the destination."
    )
    contract: Contract | None = Field(None, description=CONTRACT)
    fields: list[FieldRule] = Field([], max_length=500, description="Rules for fields.")
    other_fields: OtherFields = Field("keep", description="What happens to all other fields.")


class ProposedPatterns(Arguments):
    """Patterns that choose streams at each run, and the settings of the streams that they choose."""

    match: list[str] = Field(
        min_length=1,
        max_length=100,
        description="Patterns of full names, such as public.* and !*_tmp, which excludes. * alone is the whole source.",
    )
    sync_mode: SyncMode = Field("full_refresh", description="How streams are read that allow it.")
    cursor_field: str | None = Field(
        None, max_length=200, description="Column that grows. Needed for incremental."
    )
    write_mode: WriteMode | None = Field(
        None, description="Default: the usual mode of the destination."
    )
    contract: Contract | None = Field(None, description=CONTRACT)


class Snapshot(Arguments):
    """In which snapshots a run reads the streams of a PostgreSQL source. Values that are left out do not change."""

    scope: SnapshotScope | None = Field(
        None,
        description="One snapshot for the run, one for each stream, or auto: one for the run if reading is short.",
    )
    retry: SnapshotRetry | None = Field(
        None, description="What another attempt reads: the remaining streams, or all of them."
    )


def stream_document(stream: ProposedStream) -> dict[str, object]:
    """Return the stream as a definition has it."""
    values = stream.model_dump(exclude_none=True, exclude={"fields", "other_fields"})
    if stream.fields or stream.other_fields != "keep":
        values["fields"] = {"others": stream.other_fields, "rules": rule_documents(stream.fields)}
    return values


def rule_documents(rules: Sequence[FieldRule]) -> list[dict[str, Any]]:
    return [rule.model_dump(exclude_defaults=True) for rule in rules]
