"""Settings of the DuckDB destination."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DuckdbConfig(BaseModel):
    """The database file that contains the table."""

    model_config = ConfigDict(extra="forbid", title="DuckDB")

    database: str = Field(
        "warehouse",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
        title="Database",
        description="Name of the database file, without .duckdb. The pipelines of a saved connector share one file.",
        examples=["warehouse"],
    )
    lock_timeout: int = Field(
        30,
        ge=0,
        le=3600,
        title="Lock timeout",
        description="Seconds to wait while another program has the file open. The pipelines that share a file wait at"
        " least half an hour for each other.",
        examples=[30],
    )
