"""Settings of the logger destination."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LoggerConfig(BaseModel):
    """The number of rows that are logged."""

    model_config = ConfigDict(extra="forbid", title="Log only")

    sample_rows: int = Field(
        default=3,
        ge=0,
        le=100,
        title="Rows shown",
        description="How many rows of each batch appear in the log.",
        examples=[3],
    )
