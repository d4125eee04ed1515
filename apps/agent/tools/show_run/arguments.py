from typing import Literal
from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class ShowRun(Arguments):
    run_id: UUID = Field(description="The run's id, from list_runs.")
    part: Literal["summary", "streams"] = Field(
        "summary", description="The summary has the first streams that failed; streams lists all."
    )
    status: Literal["pending", "running", "succeeded", "failed", "cancelled"] | None = Field(
        None, description="Only streams in this state."
    )
    offset: int = Field(0, ge=0, le=10**6, description="The first stream.")
