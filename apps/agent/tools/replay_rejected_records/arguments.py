from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class ReplayRejectedRecords(Arguments):
    run_id: UUID = Field(description="The run that has rejected the records, from list_runs.")
    streams: list[str] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Streams whose rejected records are sent again. Null for all streams that allow it.",
    )
