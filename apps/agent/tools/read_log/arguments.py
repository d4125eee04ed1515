from typing import Literal
from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class ReadLog(Arguments):
    run_id: UUID = Field(description="The run's id, from list_runs.")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lines of this level and more severe levels."
    )
    offset: int | None = Field(
        None, ge=0, le=2**53, description="First line, from 0. Null for the last lines."
    )
    limit: int = Field(50, ge=1, le=100, description="The largest number of lines.")
