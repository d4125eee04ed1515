"""Settings of the REST source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from apps.engine.sources.connector import SourceSettings
from apps.engine.sources.rest.auth import HEADER_NAME_PATTERN, ONE_LINE_PATTERN, Auth, NoAuth
from apps.engine.sources.rest.paging import BodyPath, NoPagination, Pagination, RecordsPath
from apps.engine.sources.rest.placeholders import Placeholder, find_placeholders

Scalar = str | int | float | bool
Headers = Annotated[
    dict[
        Annotated[str, Field(pattern=HEADER_NAME_PATTERN)],
        Annotated[str, Field(json_schema_extra={"writeOnly": True})],
    ],
    Field(json_schema_extra={"additionalProperties": False}),
]
# The names of query parameters that carry secrets, in upper or lower case. The pattern has no flag for that, because the
# browser uses it too.
SECRET_PARAMS = re.sub(
    "[a-z]",
    lambda letter: f"[{letter[0].upper()}{letter[0]}]",
    "^(key|auth|sig)$|(api|app|application|access|private|signing)[_-]?key$|token$|secret|signature$|credential"
    "|authorization$|session[_-]?id$|pass(word|wd|phrase)?$",
)
Params = Annotated[
    dict[str, Scalar],
    Field(
        json_schema_extra={
            "patternProperties": {
                SECRET_PARAMS: {
                    "type": ["string", "integer", "number", "boolean"],
                    "writeOnly": True,
                }
            }
        }
    ),
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
        description="`end` ends the stream after its first page, `ignore` means no records",
    )


class Stream(SourceSettings):
    """One kind of record that the API offers."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(
        min_length=1, max_length=200, description="Name of the stream", examples=["weather"]
    )
    path: str = Field(
        "",
        max_length=2000,
        description="Path below the base URL. A child stream has fields of its parent in braces",
        examples=["/v1/weather", "/posts/{id}/comments"],
    )
    method: Literal["GET", "POST"] = Field("GET", description="Method of the requests")
    json_body: dict[str, Any] | None = Field(
        None,
        alias="json",
        description="JSON body of each request, such as a GraphQL query with variables",
    )
    records_path: RecordsPath = Field(
        "",
        description="Path of the records in the response, as names joined by dots; empty for the whole response",
        examples=["data.items", "edges[].node"],
    )
    key_field: str = Field(
        "",
        max_length=200,
        description="Field for the names of the records, if they are the values of an object: `users.*`",
    )
    params: Params = Field(default_factory=dict, description="Query parameters")
    headers: Headers = Field(
        default_factory=dict,
        description="Headers of this stream's requests. Their values are never shown again",
    )
    auth: Auth | None = Field(
        None, description="Authentication of this stream, if it differs from the default"
    )
    parent: str | None = Field(
        None,
        max_length=200,
        description="Stream whose records fill the braces in the path: this stream is read once for each of them",
    )
    include_from_parent: list[str] = Field(
        default_factory=list,
        max_length=20,
        description="Fields of the parent to add to each record, as `_parent_field`",
    )
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
    cursor_body_path: BodyPath = None
    pagination: Pagination | None = Field(
        None, description="Pagination of this stream, if it differs from the default"
    )
    response_actions: list[ResponseAction] = Field(
        default_factory=list,
        max_length=20,
        description="Responses that end the stream or have no records, such as 404",
    )

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, value: dict[str, str]) -> dict[str, str]:
        return check_headers(value)

    @model_validator(mode="after")
    def _check_request(self) -> Stream:
        if self.json_body is not None and self.method != "POST":
            raise ValueError("`json` needs the method POST")
        if self.include_from_parent and not self.parent:
            raise ValueError("`include_from_parent` needs a parent")
        return self

    @property
    def placeholders(self) -> Iterator[Placeholder]:
        """Yield the names in braces in the path, the parameters and the body."""
        yield from find_placeholders(self.path, is_path=True)
        yield from find_placeholders([self.params, self.json_body], is_path=False)


class Config(SourceSettings):
    """An API: its base URL, authentication, pagination and streams."""

    base_url: str = Field(
        max_length=2000,
        pattern=r"^https?://",
        description="Base URL of all paths",
        examples=["https://api.example.com/v1"],
    )
    auth: Auth = Field(default_factory=lambda: NoAuth(type="none"), description="Authentication")
    headers: Headers = Field(
        default_factory=dict,
        description="Headers to send with each request. Their values are never shown again",
    )
    params: Params = Field(
        default_factory=dict,
        description="Query parameters to send with each request. Values are never shown again if their names say that"
        " they are secret, such as `api_key` or `token`",
    )
    streams: list[Stream] = Field(min_length=1, max_length=500, description="Streams of the API")
    pagination: Pagination = Field(
        default_factory=lambda: NoPagination(type="none"),
        description="Default pagination",
    )
    link_hosts: list[Annotated[str, Field(min_length=1, max_length=300)]] = Field(
        default_factory=list,
        max_length=20,
        description="Other hosts to which links to the next page may lead. They get the credentials too",
        examples=["files.example.com"],
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
    def _check_headers(cls, value: dict[str, str]) -> dict[str, str]:
        return check_headers(value)

    @field_validator("streams")
    @classmethod
    def _check_streams(cls, streams: list[Stream]) -> list[Stream]:
        by_name = {stream.name: stream for stream in streams}
        if len(by_name) < len(streams):
            raise ValueError("two streams have the same name")
        for stream in streams:
            for problem in _parent_problems(stream, by_name):
                raise ValueError(f"{stream.name}: {problem}")
        return streams


def _parent_problems(stream: Stream, by_name: dict[str, Stream]) -> Iterator[str]:
    ancestors: list[str] = []
    ancestor = stream
    while ancestor.parent is not None:
        if ancestor.parent not in by_name:
            yield f"there is no stream {ancestor.parent!r} that could be its parent"
            return
        ancestor = by_name[ancestor.parent]
        if ancestor.name == stream.name or ancestor.name in ancestors:
            yield "a stream cannot be below itself"
            return
        ancestors.append(ancestor.name)
    for placeholder in stream.placeholders:
        if not stream.parent:
            yield f"{placeholder.text} needs a parent, whose field fills it"
        elif placeholder.stream not in ("", stream.parent):
            yield f"{placeholder.text} names a stream that is not its parent {stream.parent!r}"


def check_headers(value: dict[str, str]) -> dict[str, str]:
    """Return the headers. Raises ValueError for a value that is not a single line."""
    invalid_names = [
        name for name, text in value.items() if not re.fullmatch(ONE_LINE_PATTERN, text)
    ]
    if invalid_names:
        raise ValueError(f"the value of {invalid_names[0]!r} must be a single line")
    return value
