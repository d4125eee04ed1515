"""Settings of the Kafka source.

Only these settings are allowed, because other settings of librdkafka load libraries, run commands or read files.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from apps.engine.sources.connector import Secret, SourceSettings

SERVER_PATTERN = r"[A-Za-z0-9.-]+:[0-9]{1,5}"


class Login(SourceSettings):
    """User name and password."""

    username: str = Field(
        min_length=1, max_length=1000, description="An account that may read the topics"
    )
    password: str = Secret("Password", min_length=1, max_length=10_000)


class Sasl(SourceSettings):
    """SASL authentication."""

    type: Literal["basic"]
    params: Login = Field(description="The user name and password")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="SASL mechanism"
    )


class SchemaRegistry(SourceSettings):
    """An Apicurio registry with the Avro schemas of the messages."""

    url: str = Field(
        max_length=2000,
        pattern=r"^https?://",
        description="Address",
        examples=["https://registry.example.com"],
    )
    username: str = Field(
        "", max_length=1000, description="An account of the registry. Empty: without authentication"
    )
    password: str = Secret("Password", default="", max_length=10_000)


class Config(SourceSettings):
    """Which cluster to read, and how its messages are encoded."""

    bootstrap_servers: str = Field(
        max_length=2000,
        pattern=rf"^{SERVER_PATTERN}(,{SERVER_PATTERN})*$",
        description="Bootstrap brokers, as host:port separated by commas",
        examples=["broker1.example.com:9092,broker2.example.com:9092"],
    )
    security_protocol: Literal["SASL_SSL", "SSL", "SASL_PLAINTEXT", "PLAINTEXT"] = Field(
        "SASL_SSL", description="Whether the brokers require TLS, a login, or both"
    )
    authentication: Sasl | None = Field(None, description="The login, for the SASL protocols")
    group_id: str = Field("drover", min_length=1, max_length=200, description="Consumer group")
    message_encoding: Literal["utf-8", "avro"] = Field(
        "utf-8", description="Messages are JSON in UTF-8, or Avro with a schema registry"
    )
    schema_registry: SchemaRegistry | None = Field(
        None, description="The schema registry, for messages in Avro"
    )
    skip_message_empty_value: bool = Field(True, description="Skip messages without a value")
    skip_message_invalid_keys: bool = Field(
        False, description="Skip messages whose key is not JSON, instead of failing"
    )
    skip_message_on_decode_error: bool = Field(
        False, description="Skip messages that cannot be decoded, instead of failing"
    )
    batch_size: int = Field(1000, ge=1, le=100_000, description="Messages in a page, at most")
    consumer_timeout: int = Field(
        10, ge=1, le=600, description="Timeout for requests to the brokers, in seconds"
    )
