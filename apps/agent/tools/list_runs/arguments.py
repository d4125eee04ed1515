from typing import Literal
from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class ListRuns(Arguments):
    pipeline_id: UUID | None = Field(None, description="Null for the runs of all pipelines.")
    status: Literal["pending", "running", "succeeded", "failed", "cancelled"] | None = Field(
        None, description="Null for runs of all states."
    )
    limit: int = Field(10, ge=1, le=30, description="The largest number of runs.")
