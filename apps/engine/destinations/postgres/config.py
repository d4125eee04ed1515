"""Settings of the PostgreSQL destination."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class PostgresConfig(BaseModel):
    """The database to connect to, and the user."""

    model_config = ConfigDict(extra="forbid", title="PostgreSQL")

    host: str = Field(
        min_length=1,
        max_length=253,
        title="Host",
        description="Host name or address.",
        examples=["db.example.com"],
    )
    port: int = Field(5432, ge=1, le=65535, title="Port", description="Port.", examples=[5432])
    database: str = Field(
        min_length=1,
        max_length=63,
        title="Database",
        description="It must exist; Drover creates the tables in it",
        examples=["warehouse"],
    )
    user: str = Field(
        min_length=1,
        max_length=63,
        title="User",
        description="A user that may create tables in the schema.",
        examples=["drover"],
    )
    password: SecretStr = Field(
        SecretStr(""), max_length=1000, title="Password", description="The user's password."
    )
    schema_: str = Field(
        "public",
        alias="schema",
        min_length=1,
        max_length=63,
        pattern=r"^[^\x00]+$",
        title="Schema",
        description="Default schema; created if it does not exist. A table named schema.table uses that schema instead.",
        examples=["analytics"],
    )
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "prefer",
        title="TLS mode",
        description="TLS mode, as libpq's sslmode.",
        examples=["verify-full"],
    )
    ssl_root_certificate: str | None = Field(
        None,
        max_length=100_000,
        title="Root certificate",
        description="CA certificate (PEM) for verify-ca and verify-full.",
    )
    connect_timeout: int = Field(
        10,
        ge=1,
        le=300,
        title="Connect timeout",
        description="Seconds to wait for a connection.",
        examples=[10],
    )
    lock_timeout: int = Field(
        60,
        ge=1,
        le=3600,
        title="Lock timeout",
        description="Seconds to wait for locks that other transactions hold on the table.",
        examples=[60],
    )
    statement_timeout: int = Field(
        3600,
        ge=1,
        le=86_400,
        title="Statement timeout",
        description="Maximum duration of one SQL statement, in seconds.",
        examples=[3600],
    )
    copy_comments: bool = Field(
        False,
        title="Copy comments",
        description="Give the table and its columns the comments that they have in the source, if that is PostgreSQL.",
    )
    copy_not_null: bool = Field(
        False,
        title="Copy NOT NULL",
        description="Make the columns of a new table NOT NULL that are NOT NULL in the source, if that is PostgreSQL.",
    )
