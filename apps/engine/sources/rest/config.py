"""Settings of the REST source."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from apps.engine.sandbox.library import paths
from apps.engine.sources.connector import Secret, SourceSettings

Scalar = str | int | float | bool
HEADER_NAME_PATTERN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
ONE_LINE_PATTERN = r"^[^\x00-\x1f\x7f]*$"


def _check_path(path: str) -> str:
    paths.parse(path)
    return path


# Names joined by dots. A name with a dot is in quotes; a number is an index, and -1 is the last.
Path = Annotated[str, Field(max_length=500), AfterValidator(_check_path)]
MorePath = Annotated[
    Path | None,
    Field(description="Path of the field that is true if more pages follow", examples=["has_more"]),
]
Hints = Annotated[
    bool,
    Field(
        description="Fail if the response says elsewhere that more records follow, such as in `has_more` or `total`"
    ),
]


class NoAuth(SourceSettings):
    """No authentication."""

    type: Literal["none"]


class ApiKeyAuth(SourceSettings):
    """A key in a header or in the query."""

    type: Literal["api_key"]
    name: str = Field(
        pattern=HEADER_NAME_PATTERN,
        max_length=200,
        description="Header or parameter name",
        examples=["X-Api-Key"],
    )
    key: str = Secret("The key", min_length=1, max_length=10_000, pattern=ONE_LINE_PATTERN)
    location: Literal["header", "query"] = Field("header", description="Where to send the key")


class BearerAuth(SourceSettings):
    """A token in the `Authorization` header."""

    type: Literal["bearer"]
    token: str = Secret("The token", min_length=1, max_length=10_000, pattern=ONE_LINE_PATTERN)


class BasicAuth(SourceSettings):
    """User name and password."""

    type: Literal["basic"]
    username: str = Field(max_length=1000, description="User name")
    password: str = Secret("Password", default="", max_length=1000)


Auth = Annotated[NoAuth | ApiKeyAuth | BearerAuth | BasicAuth, Field(discriminator="type")]


class NoPagination(SourceSettings):
    """No pagination: one response has all records."""

    type: Literal["none"]
    hints: Hints = True


class PageNumber(SourceSettings):
    """Numbered pages; the first empty page ends the stream."""

    type: Literal["page"]
    page_param: str = Field("page", min_length=1, description="Query parameter for the page number")
    first_page: int = Field(1, ge=0, description="Number of the first page")
    size_param: str | None = Field(
        None,
        description="Query parameter for the page size, if there is one",
        examples=["per_page"],
    )
    page_size: int = Field(100, ge=1, le=100_000, description="Records per page")
    total_path: Path | None = Field(
        None, description="Path of the number of pages", examples=["meta.total_pages"]
    )
    maximum_page: int | None = Field(None, ge=0, description="Number of the last page to read")
    more_path: MorePath = None
    hints: Hints = True


class OffsetLimit(SourceSettings):
    """An offset in records; the first empty page ends the stream."""

    type: Literal["offset"]
    offset_param: str = Field("offset", min_length=1, description="Query parameter for the offset")
    limit_param: str | None = Field("limit", description="Query parameter for the page size")
    page_size: int = Field(100, ge=1, le=100_000, description="Records per page")
    first_offset: int = Field(0, ge=0, description="Offset of the first record")
    total_path: Path | None = Field(
        None, description="Path of the number of records", examples=["meta.total"]
    )
    maximum_offset: int | None = Field(None, ge=0, description="Largest offset to request")
    more_path: MorePath = None
    hints: Hints = True


class CursorToken(SourceSettings):
    """Each response has the token of the next page."""

    type: Literal["cursor"]
    cursor_path: Path = Field(
        min_length=1, description="Path of the token in the response", examples=["meta.next_cursor"]
    )
    cursor_param: str = Field("cursor", min_length=1, description="Query parameter for the token")
    size_param: str | None = Field(
        None, description="Query parameter for the page size, if there is one"
    )
    page_size: int = Field(100, ge=1, le=100_000, description="Records per page")
    more_path: MorePath = None
    hints: Hints = True


class NextLink(SourceSettings):
    """Each response has the URL of the next page, in its body or its `Link` header."""

    type: Literal["next_link"]
    link_path: Path | None = Field(
        None,
        description="Path of the URL in the body; empty to use the `Link` header",
        examples=["next"],
    )
    size_param: str | None = Field(
        None, description="Query parameter for the page size, if there is one"
    )
    page_size: int = Field(100, ge=1, le=100_000, description="Records per page")
    more_path: MorePath = None
    hints: Hints = True


Pagination = Annotated[
    NoPagination | PageNumber | OffsetLimit | CursorToken | NextLink, Field(discriminator="type")
]


class ResponseAction(SourceSettings):
    """What to do with certain responses instead of failing."""

    status_code: int = Field(ge=100, le=599, description="Status of the responses", examples=[404])
    content: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Text that the response must contain; empty for every response with this status",
    )
    action: Literal["end", "ignore"] = Field(
        "ignore",
        description="`end` ends the stream after its first page, `ignore` takes the response as a page without records",
    )


class Stream(SourceSettings):
    """One kind of record that the API offers."""

    name: str = Field(
        min_length=1, max_length=200, description="Name of the stream", examples=["weather"]
    )
    path: str = Field(
        "", max_length=2000, description="Path below the base URL", examples=["/v1/weather"]
    )
    records_path: Path = Field(
        "",
        description="Path of the records in the response, as names joined by dots; empty for the whole response",
        examples=["data.items"],
    )
    params: dict[str, Scalar] = Field(default_factory=dict, description="Query parameters")
    primary_key: list[str] = Field(
        default_factory=list, max_length=20, description="Fields that identify a record"
    )
    cursor_field: str | None = Field(
        None,
        min_length=1,
        description="Field that grows with every change; enables incremental syncs",
        examples=["updated_at"],
    )
    cursor_param: str | None = Field(
        None,
        min_length=1,
        description="Query parameter that requests only the records from a cursor value on",
        examples=["since"],
    )
    pagination: Pagination | None = Field(
        None, description="Pagination of this stream, if it differs from the default"
    )
    response_actions: list[ResponseAction] = Field(
        default_factory=list,
        max_length=20,
        description="Responses that end the stream or have no records, such as a 404 after the last page",
    )


class Config(SourceSettings):
    """An API: its base URL, authentication, pagination and streams."""

    base_url: str = Field(
        max_length=2000,
        pattern=r"^https?://",
        description="Base URL of all paths",
        examples=["https://api.example.com/v1"],
    )
    auth: Auth = Field(default_factory=lambda: NoAuth(type="none"), description="Authentication")
    headers: dict[Annotated[str, Field(pattern=HEADER_NAME_PATTERN)], str] = Field(
        default_factory=dict,
        description="Headers to send with each request; put credentials into `auth`",
        json_schema_extra={"additionalProperties": False},
    )
    params: dict[str, Scalar] = Field(
        default_factory=dict, description="Query parameters to send with each request"
    )
    streams: list[Stream] = Field(min_length=1, max_length=500, description="Streams of the API")
    pagination: Pagination = Field(
        default_factory=lambda: NoPagination(type="none"),
        description="Default pagination",
    )
    timeout: float = Field(60, gt=0, le=3600, description="Timeout for one response, in seconds")
    retries: int = Field(
        3, ge=0, le=20, description="Maximum number of retries of a failed request"
    )
    longest_wait: float = Field(
        30,
        ge=0,
        le=600,
        description="Longest wait between retries that the API may request, in seconds",
    )
    max_pages: int = Field(
        100_000,
        ge=1,
        le=10_000_000,
        description="Maximum pages per stream; the run fails if there are more pages",
    )
    max_response_mb: int = Field(64, ge=1, le=1024, description="Maximum size of a response, in MB")

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname:
            raise ValueError("has no host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("contains credentials; put them into `auth`")
        if parts.query or parts.fragment:
            raise ValueError("contains a query or fragment; use `params`")
        return value

    @field_validator("headers")
    @classmethod
    def _check_header_values(cls, value: dict[str, str]) -> dict[str, str]:
        invalid_names = [
            name for name, text in value.items() if not re.fullmatch(ONE_LINE_PATTERN, text)
        ]
        if invalid_names:
            raise ValueError(f"the value of {invalid_names[0]!r} must be a single line")
        return value

    @model_validator(mode="after")
    def _check_stream_names(self) -> Config:
        names = [stream.name for stream in self.streams]
        if len(set(names)) < len(names):
            raise ValueError("two streams have the same name")
        return self
