"""Settings of the REST source."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from apps.engine.sources.connector import Secret, SourceSettings

Scalar = str | int | float | bool
HEADER_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
ONE_LINE = r"^[^\x00-\x1f\x7f]*$"


class NoAuth(SourceSettings):
    """The API is open."""

    type: Literal["none"]


class ApiKeyAuth(SourceSettings):
    """A key in a header or in the query."""

    type: Literal["api_key"]
    name: str = Field(
        pattern=HEADER_NAME,
        max_length=200,
        description="Header or parameter name",
        examples=["X-Api-Key"],
    )
    key: str = Secret("The key", min_length=1, max_length=10_000, pattern=ONE_LINE)
    location: Literal["header", "query"] = Field("header", description="Where the key goes")


class BearerAuth(SourceSettings):
    """A token in the `Authorization` header."""

    type: Literal["bearer"]
    token: str = Secret("The token", min_length=1, max_length=10_000, pattern=ONE_LINE)


class BasicAuth(SourceSettings):
    """User name and password."""

    type: Literal["basic"]
    username: str = Field(max_length=1000, description="User name")
    password: str = Secret("Password", default="", max_length=1000)


Auth = Annotated[NoAuth | ApiKeyAuth | BearerAuth | BasicAuth, Field(discriminator="type")]


class NoPagination(SourceSettings):
    """One answer holds everything."""

    type: Literal["none"]


class PageNumber(SourceSettings):
    """Pages are numbered; the first empty one ends the stream."""

    type: Literal["page"]
    page_param: str = Field("page", min_length=1, description="Parameter with the page's number")
    first_page: int = Field(1, ge=0, description="Number of the first page")
    size_param: str | None = Field(
        None, description="Parameter with the page's size, if there is one", examples=["per_page"]
    )
    page_size: int = Field(100, ge=1, le=100_000, description="Records to ask for in a page")
    more_path: str | None = Field(
        None, description="Where the answer says whether more follows", examples=["meta.has_more"]
    )


class OffsetLimit(SourceSettings):
    """Records are counted; the first empty answer ends the stream."""

    type: Literal["offset"]
    offset_param: str = Field("offset", min_length=1, description="Parameter with the offset")
    limit_param: str | None = Field("limit", description="Parameter with the page's size")
    page_size: int = Field(100, ge=1, le=100_000, description="Records to ask for in a page")
    more_path: str | None = Field(
        None, description="Where the answer says whether more follows", examples=["has_more"]
    )


class CursorToken(SourceSettings):
    """Each answer holds a token that asks for the next one."""

    type: Literal["cursor"]
    cursor_path: str = Field(
        min_length=1, description="Where the answer holds the token", examples=["meta.next_cursor"]
    )
    cursor_param: str = Field("cursor", min_length=1, description="Parameter to send it in")
    size_param: str | None = Field(None, description="Parameter with the page's size, if any")
    page_size: int = Field(100, ge=1, le=100_000, description="Records to ask for in a page")
    more_path: str | None = Field(
        None, description="Where the answer says whether more follows", examples=["has_more"]
    )


class NextLink(SourceSettings):
    """Each answer names the address of the next one, in its body or its `Link` header."""

    type: Literal["next_link"]
    link_path: str | None = Field(
        None, description="Where the body holds it; the `Link` header when empty", examples=["next"]
    )
    size_param: str | None = Field(None, description="Parameter with the page's size, if any")
    page_size: int = Field(100, ge=1, le=100_000, description="Records to ask for in a page")


Pagination = Annotated[
    NoPagination | PageNumber | OffsetLimit | CursorToken | NextLink, Field(discriminator="type")
]


class Stream(SourceSettings):
    """One kind of record that the API offers."""

    name: str = Field(min_length=1, max_length=200, description="Name", examples=["weather"])
    path: str = Field(
        "", max_length=2000, description="Path below the base URL", examples=["/v1/weather"]
    )
    records_path: str = Field(
        "",
        max_length=500,
        description="Where the answer holds the records, as names joined by dots; empty for the whole answer",
        examples=["data.items"],
    )
    params: dict[str, Scalar] = Field(default_factory=dict, description="Query parameters")
    primary_key: list[str] = Field(
        default_factory=list, max_length=20, description="Fields that identify a record"
    )
    cursor_field: str | None = Field(
        None,
        min_length=1,
        description="Field that grows with every change; makes incremental runs possible",
        examples=["updated_at"],
    )
    cursor_param: str | None = Field(
        None,
        min_length=1,
        description="Parameter that asks for records from a cursor value on",
        examples=["since"],
    )
    pagination: Pagination | None = Field(None, description="Pagination, if not the common one")


class Config(SourceSettings):
    """An API: where it is, how to log in, how pages follow, and what it offers."""

    base_url: str = Field(
        max_length=2000,
        pattern=r"^https?://",
        description="Address that all paths start from",
        examples=["https://api.example.com/v1"],
    )
    auth: Auth = Field(default_factory=lambda: NoAuth(type="none"), description="How to log in")
    headers: dict[Annotated[str, Field(pattern=HEADER_NAME)], str] = Field(
        default_factory=dict,
        description="Headers to send with each request; credentials belong into `auth`",
        json_schema_extra={"additionalProperties": False},
    )
    params: dict[str, Scalar] = Field(
        default_factory=dict, description="Query parameters to send with each request"
    )
    streams: list[Stream] = Field(min_length=1, max_length=500, description="What the API offers")
    pagination: Pagination = Field(
        default_factory=lambda: NoPagination(type="none"),
        description="How one page follows another",
    )
    timeout: float = Field(60, gt=0, le=3600, description="Seconds to wait for one whole answer")
    retries: int = Field(3, ge=0, le=20, description="Further tries when a request fails")
    longest_wait: float = Field(
        30,
        ge=0,
        le=600,
        description="Longest wait in seconds that the API may ask for between tries",
    )
    max_pages: int = Field(
        100_000, ge=1, le=10_000_000, description="A stream of more pages than this fails the run"
    )
    max_response_mb: int = Field(64, ge=1, le=1024, description="Largest answer to take, in MB")

    @field_validator("base_url")
    @classmethod
    def _has_a_host_and_no_credentials(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname:
            raise ValueError("names no host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("holds credentials, which belong into `auth`")
        if parts.query or parts.fragment:
            raise ValueError("holds a query or fragment; use `params`")
        return value

    @field_validator("headers")
    @classmethod
    def _have_values_of_one_line(cls, value: dict[str, str]) -> dict[str, str]:
        broken = [name for name, text in value.items() if not re.fullmatch(ONE_LINE, text)]
        if broken:
            raise ValueError(f"the value of {broken[0]!r} is not one line")
        return value

    @model_validator(mode="after")
    def _has_unique_stream_names(self) -> Config:
        names = [stream.name for stream in self.streams]
        if len(set(names)) < len(names):
            raise ValueError("two streams have the same name")
        return self
