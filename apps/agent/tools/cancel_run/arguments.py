from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class CancelRun(Arguments):
    run_id: UUID | None = Field(
        None, description="The run's id, from list_runs. Null to cancel a backfill."
    )
    pipeline_id: UUID | None = Field(None, description="Only with a backfill: its pipeline.")
    backfill_id: UUID | None = Field(
        None, description="A backfill, from the part backfills of show_pipeline."
    )
