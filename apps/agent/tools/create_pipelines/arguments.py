from typing import Any
from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments
from apps.agent.tools.schedule_arguments import ScheduleOptions
from apps.agent.tools.stream_arguments import (
    MAX_STREAMS,
    NAMING,
    NEW_STREAMS,
    NewStreams,
    ProposedPatterns,
    ProposedStream,
    Snapshot,
    stream_document,
)
from apps.agent.tools.text_arguments import Line, Lines, VisibleLine


class ProposedSchedule(ScheduleOptions):
    """When the pipeline runs: a cron expression or an interval."""

    cron: str | None = Field(None, max_length=100, description="Five fields, such as 0 6 * * 1-5.")
    interval_seconds: int | None = Field(
        None, ge=60, le=366 * 86400, description="For example 21600 for every six hours."
    )
    timezone: str = Field("UTC", max_length=60, description="IANA name, such as Europe/Paris.")


class ProposedPipeline(Arguments):
    """A new pipeline from streams of a source connector to a destination connector. It needs streams or patterns."""

    name: VisibleLine = Field(
        min_length=1, max_length=120, description="A name that no pipeline has yet."
    )
    description: Lines = Field("", max_length=1000, description="What the pipeline is for.")
    source_connector_id: UUID = Field(description="From list_connectors, role source.")
    destination_connector_id: UUID = Field(description="From list_connectors, role destination.")
    streams: list[ProposedStream] = Field(
        [],
        max_length=MAX_STREAMS,
        description="Named streams. One run reads all of them. They keep their own settings beside patterns.",
    )
    patterns: ProposedPatterns | None = Field(
        None, description="For a whole database, or for many streams."
    )
    naming: str | None = Field(None, max_length=127, description=NAMING)
    new_streams: NewStreams | None = Field(None, description=NEW_STREAMS)
    snapshot: Snapshot | None = Field(None, description="Null for auto.")
    schedule: ProposedSchedule | None = Field(None, description="Null for runs by hand only.")
    tags: list[Line] = Field([], max_length=20, description="Words to find the pipeline by.")
    domain_id: UUID | None = Field(
        None, description="From list_domains. Null for the whole organization."
    )

    def definition(self) -> dict[str, Any]:
        """Return the definition as a request has it."""
        patterns = self.patterns.model_dump(exclude_none=True) if self.patterns else None
        snapshot = self.snapshot.model_dump(exclude_none=True) if self.snapshot else None
        optional = {
            "patterns": patterns,
            "naming": self.naming,
            "new_streams": self.new_streams,
            "snapshot": snapshot,
        }
        return {
            "source": {"connector_id": str(self.source_connector_id)},
            "streams": [stream_document(stream) for stream in self.streams],
            "destination": {"connector_id": str(self.destination_connector_id)},
            **{name: value for name, value in optional.items() if value},
        }


class CreatePipelines(Arguments):
    pipelines: list[ProposedPipeline] = Field(
        min_length=1,
        max_length=50,
        description="One for all streams of a source that go to the same destination at the same times.",
    )
