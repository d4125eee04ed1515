from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments
from apps.agent.tools.schedule_arguments import ScheduleOptions
from apps.agent.tools.stream_arguments import (
    CONTRACT,
    MAX_STREAMS,
    NAMING,
    NEW_STREAMS,
    FieldRule,
    NewStreams,
    ProposedStream,
    Snapshot,
)
from apps.agent.tools.text_arguments import Line, Lines, VisibleLine
from apps.engine.contract import Contract, SyncMode, WriteMode
from apps.engine.field_rules import OtherFields


class ChangedSchedule(ScheduleOptions):
    """The values that change. Either a cron expression or an interval."""

    cron: str | None = Field(
        None, max_length=100, description="Five fields, such as 0 6 * * 1-5. Replaces an interval."
    )
    interval_seconds: int | None = Field(
        None, ge=60, le=366 * 86400, description="For example 21600. Replaces a cron expression."
    )
    timezone: str | None = Field(
        None, max_length=60, description="IANA name, such as Europe/Paris."
    )


class ChangedStream(Arguments):
    """The values of one stream that change. Values that are left out do not change."""

    stream: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Which stream. In a pipeline with one stream another name replaces it.",
    )
    table: str | None = Field(
        None, min_length=1, max_length=130, description="Table of the destination."
    )
    sync_mode: SyncMode | None = Field(None, description="How the stream is read.")
    cursor_field: str | None = Field(
        None, max_length=200, description="Column that grows. Needed for incremental."
    )
    primary_key: list[str] | None = Field(
        None, max_length=32, description="Columns that identify a row. Needed for merge."
    )
    write_mode: WriteMode | None = Field(None, description="How the destination is written.")
    allow_empty: bool | None = Field(
        None, description="Whether a run that read nothing may replace existing rows."
    )
    max_rejected_share: float | None = Field(
        None, ge=0, le=1, description="Share of records that may be rejected, such as 0.01."
    )
    contract: Contract | None = Field(None, description=CONTRACT)
    fields: list[FieldRule] | None = Field(
        None,
        max_length=500,
        description="Rules that are added, or that replace the rule of the same field.",
    )
    other_fields: OtherFields | None = Field(
        None, description="What happens to fields without a rule."
    )


class ChangedPatterns(Arguments):
    """The values of the patterns that change. Values that are left out do not change."""

    match: list[str] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="All patterns after the change, such as public.* and !*_tmp.",
    )
    sync_mode: SyncMode | None = Field(None, description="How streams are read that allow it.")
    cursor_field: str | None = Field(
        None, max_length=200, description="Column that grows. Needed for incremental."
    )
    write_mode: WriteMode | None = Field(None, description="How the destination is written.")
    contract: Contract | None = Field(None, description=CONTRACT)


class UpdatePipeline(Arguments):
    """The values that change. Values that are left out do not change."""

    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    name: VisibleLine | None = Field(
        None, min_length=1, max_length=120, description="The new name."
    )
    description: Lines | None = Field(None, max_length=1000, description="The new description.")
    tags: list[Line] | None = Field(None, max_length=20, description="All tags after the change.")
    schedule: ChangedSchedule | None = Field(
        None, description="Null removes the schedule; left out, it does not change."
    )
    timeout_seconds: int | None = Field(
        None, ge=10, le=7 * 86400, description="The longest duration of a run."
    )
    max_attempts: int | None = Field(
        None, ge=1, le=10, description="How often a run is tried before it fails."
    )
    domain_id: UUID | None = Field(
        None, description="From list_domains. Null moves the pipeline out of its domain."
    )
    source_connector_id: UUID | None = Field(
        None, description="Another source, from list_connectors."
    )
    destination_connector_id: UUID | None = Field(
        None, description="Another destination, from list_connectors."
    )
    streams: list[ChangedStream] | None = Field(
        None, min_length=1, max_length=MAX_STREAMS, description="Changes of streams that it reads."
    )
    add_streams: list[ProposedStream] = Field(
        [], max_length=MAX_STREAMS, description="Streams that it reads from now on too."
    )
    remove_streams: list[str] = Field(
        [], max_length=MAX_STREAMS, description="Names of streams that it does not read any more."
    )
    patterns: ChangedPatterns | None = Field(
        None, description="Null removes the patterns; left out, they do not change."
    )
    naming: str | None = Field(None, max_length=127, description=f"{NAMING} Null removes it.")
    new_streams: NewStreams | None = Field(None, description=NEW_STREAMS)
    snapshot: Snapshot | None = Field(None, description="The choice of snapshots.")
