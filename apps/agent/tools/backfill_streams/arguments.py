from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class BackfillStreams(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    streams: list[str] = Field(
        min_length=1,
        max_length=20,
        description="Incremental streams that it reads. The part backfills of show_pipeline tells which can be read again, and which only as a whole: then start and end are null.",
    )
    start: str | None = Field(
        None,
        max_length=200,
        description="The first value of the cursor field, such as 2026-01-01. Null for the beginning.",
    )
    end: str | None = Field(
        None,
        max_length=200,
        description="The window ends before this value. Null for the saved position.",
    )
    rows_per_chunk: int = Field(
        1_000_000,
        ge=1_000,
        le=100_000_000,
        description="About how many records a run loads before runs that are due are started.",
    )
