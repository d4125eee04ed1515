"""Settings of the PostgreSQL source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from apps.engine.sources.connector import Secret, SourceSettings

Snapshot = Literal["auto", "whole", "paged"]
SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


class Config(SourceSettings):
    """Which database to read, and as which user. A user with only SELECT is sufficient."""

    host: str = Field(
        min_length=1,
        max_length=253,
        description="Host name or address",
        examples=["db.example.com"],
    )
    port: int = Field(5432, ge=1, le=65535, description="Port")
    database: str = Field(
        min_length=1,
        max_length=63,
        description="One database of the server; its tables are read",
        examples=["shop"],
    )
    user: str = Field(
        min_length=1,
        max_length=63,
        description="Needs only to read: CONNECT on the database, USAGE on the schemas, SELECT on the tables",
        examples=["reader"],
    )
    password: str = Secret("Password", default="", max_length=1000)
    schemas: list[str] = Field(
        default_factory=list,
        max_length=100,
        description="Schemas to read; all when empty",
        examples=[["public", "sales"]],
    )
    sslmode: SslMode = Field(
        "prefer", title="TLS mode", description="TLS mode, as libpq's `sslmode`"
    )
    ssl_root_certificate: str | None = Field(
        None,
        max_length=100_000,
        description="CA certificate (PEM) for verify-ca and verify-full",
    )
    connect_timeout: int = Field(10, ge=1, le=300, description="Seconds to wait for a connection")
    statement_timeout: int = Field(
        600,
        ge=1,
        le=86_400,
        description="Statement timeout in seconds, for one page, or for the next rows of a snapshot",
    )
    lookback_seconds: int = Field(
        0,
        ge=0,
        le=30 * 86_400,
        description="Seconds by which an incremental sync by time starts before its last position, to include rows that were"
        " committed late; the write mode must be merge",
    )
    page_size: int = Field(
        50_000, ge=1, le=1_000_000, description="Maximum number of records read at a time"
    )
    snapshot: Snapshot = Field(
        "auto",
        description="`whole`: all rows as of one moment; a new attempt begins anew, and TRUNCATE and ALTER of the table"
        " wait until it was read. `paged`: page by page, so that a new attempt continues; needs a key or a cursor field."
        " `auto`: paged for tables of more than 128 MB with a key or a cursor field, else whole",
    )
