from typing import Literal
from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments
from apps.agent.tools.text_arguments import Line, Lines, VisibleLine


class ProposedSchedule(Arguments):
    """When the pipeline runs: a cron expression or an interval."""

    cron: str | None = Field(None, max_length=100, description="Five fields, such as 0 6 * * 1-5.")
    interval_seconds: int | None = Field(
        None, ge=60, le=366 * 86400, description="For example 21600 for every six hours."
    )
    timezone: str = Field("UTC", max_length=60, description="IANA name, such as Europe/Paris.")


class ProposedStream(Arguments):
    """One stream of the source, and how it is written."""

    stream: str = Field(min_length=1, max_length=200, description="Name from list_streams.")
    table: str | None = Field(
        None,
        max_length=130,
        description="Destination table. Default: the stream's name, or one like it that no pipeline writes.",
    )
    sync_mode: Literal["full_refresh", "incremental"] = Field(
        "full_refresh", description="Whether each run reads everything or only new records."
    )
    cursor_field: str | None = Field(
        None, max_length=200, description="Column that grows. Needed for incremental."
    )
    primary_key: list[str] = Field([], max_length=32, description="Columns that identify a row.")
    write_mode: Literal["replace", "append", "merge"] | None = Field(
        None, description="Default: the usual mode of the destination."
    )


class ProposedPipeline(Arguments):
    """A new pipeline from one stream of a source connector to a destination connector."""

    name: VisibleLine = Field(
        min_length=1, max_length=120, description="A name that no pipeline has yet."
    )
    description: Lines = Field("", max_length=1000, description="What the pipeline is for.")
    source_connector_id: UUID = Field(description="From list_connectors, role source.")
    destination_connector_id: UUID = Field(description="From list_connectors, role destination.")
    streams: list[ProposedStream] = Field(
        min_length=1, max_length=1, description="Exactly one stream for now."
    )
    schedule: ProposedSchedule | None = Field(None, description="Null for runs by hand only.")
    tags: list[Line] = Field([], max_length=20, description="Words to find the pipeline by.")
    domain_id: UUID | None = Field(
        None, description="From list_domains. Null for the whole organization."
    )


class CreatePipelines(Arguments):
    pipelines: list[ProposedPipeline] = Field(
        min_length=1, max_length=50, description="One pipeline for each stream."
    )
