"""The plan of a custom source: what the user reads and edits before code is generated from it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from apps.egress import allowlist

MAX_STREAMS = 30  # more streams would not fit into the answer that a model gets
PLACEHOLDER = re.compile(r"\{(\w+)\}")
URL_START = re.compile(r"https?://[^/?#\s]+|\{\w+\}")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

AuthenticationKind = Literal[
    "none", "bearer", "basic", "header_key", "query_key", "client_credentials", "refresh_token"
]
PaginationKind = Literal["none", "page", "offset", "cursor", "link_header", "next_url"]


class Part(BaseModel):
    """A part of a plan. Unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Authentication(Part):
    """How requests are authenticated. The secrets themselves are settings of the connector, never part of a plan."""

    kind: AuthenticationKind = Field("none", description="How a request proves who it is.")
    name: str = Field("", max_length=100, description="Name of the header or query parameter.")
    token_url: str = Field("", max_length=500, description="The token endpoint, only for OAuth.")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.kind in ("header_key", "query_key") and not self.name:
            raise ValueError(f"{self.kind} needs the name of the header or query parameter")
        if self.kind == "header_key" and not HEADER_NAME.fullmatch(self.name):
            raise ValueError("name must be the name of an HTTP header")
        is_oauth = self.kind in ("client_credentials", "refresh_token")
        if is_oauth and not re.match(r"https?://", self.token_url):
            raise ValueError(f"{self.kind} needs token_url, starting with https://")
        return self


class Pagination(Part):
    """How the next page is found."""

    kind: PaginationKind = Field("none", description="How the next page is found.")
    parameter: str = Field(
        "", max_length=100, description="Query parameter of the page, offset or cursor."
    )
    size_parameter: str = Field(
        "", max_length=100, description="Query parameter of the page size, or empty."
    )
    size: int = Field(0, ge=0, le=100_000, description="Records of a page; 0 if unknown.")
    start: int = Field(1, ge=0, le=1, description="Number of the first page.")
    field: str = Field(
        "",
        max_length=200,
        description="Place of the next cursor or URL in the response, names joined by dots.",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.kind in ("page", "offset", "cursor") and not self.parameter:
            raise ValueError(f"{self.kind} needs the name of its query parameter")
        if self.kind in ("cursor", "next_url") and not self.field:
            raise ValueError(f"{self.kind} needs the field of the response")
        if self.kind == "offset" and not (self.size and self.size_parameter):
            raise ValueError("offset needs size and size_parameter")
        return self


class FixedValue(Part):
    """A query parameter or header that each request has."""

    name: str = Field(min_length=1, max_length=100, description="Its name.")
    value: str = Field(max_length=500, description="Its value.")


class PlannedSetting(Part):
    """A setting that is not a secret, such as an account name in the base URL."""

    name: str = Field(min_length=1, max_length=60, description="A Python name, such as account.")
    description: str = Field("", max_length=300, description="Shown in the form of a connector.")
    default: str | None = Field(None, max_length=300, description="Value if it is left empty.")

    @field_validator("name")
    @classmethod
    def _is_identifier(cls, name: str) -> str:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise ValueError("must be a Python name, such as account or shop_id")
        return name


class PlannedStream(Part):
    """One stream of records."""

    name: str = Field(min_length=1, max_length=100, description="Name of the stream.")
    path: str = Field(max_length=500, description="Path below the base URL, such as /orders.")
    records: str = Field(
        "", max_length=200, description="Place of the list of records in the response, or empty."
    )
    primary_key: list[str] = Field([], max_length=10, description="Fields that identify a record.")
    cursor_field: str = Field("", max_length=100, description="Field that grows, or empty.")
    since: str = Field(
        "", max_length=100, description="Query parameter that selects newer records, or empty."
    )
    parameters: list[FixedValue] = Field(
        [], max_length=30, description="Query parameters of each request."
    )
    parent: str = Field(
        "", max_length=100, description="Stream whose fields fill the braces in the path."
    )
    pagination: Pagination = Field(Pagination(), description="The pagination of this stream.")

    @field_validator("path")
    @classmethod
    def _is_path(cls, path: str) -> str:
        if "://" in path or path.startswith("//"):
            raise ValueError("must be a path such as /orders, not a complete URL")
        _require_plain_braces(path)
        return path


class SourcePlan(Part):
    """Everything that the code of a REST source is generated from."""

    name: str = Field(min_length=1, max_length=120, description="Name of the source.")
    description: str = Field("", max_length=500, description="One sentence about the API.")
    base_url: str = Field(max_length=500, description="URL before each path, with https://.")
    authentication: Authentication = Field(
        Authentication(), description="How requests are authenticated. It never has secrets."
    )
    headers: list[FixedValue] = Field([], max_length=20, description="Headers of each request.")
    settings: list[PlannedSetting] = Field(
        [], max_length=30, description="Settings for the braces in URLs. Secrets are added."
    )
    streams: list[PlannedStream] = Field(
        min_length=1, max_length=MAX_STREAMS, description="The streams of records."
    )

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        if not URL_START.match(url):
            raise ValueError("must start with https:// and a host, or with a {setting}")
        _require_plain_braces(url)
        return url

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        names = [stream.name for stream in self.streams]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"two streams have the name {repeated[0]!r}")
        for problem in self._problems(set(names)):
            raise ValueError(problem)
        return self

    def _problems(self, names: set[str]) -> Iterator[str]:
        settings = {setting.name for setting in self.settings}
        texts = {"base_url": self.base_url, "token_url": self.authentication.token_url}
        texts |= {f"the path of {s.name!r}": s.path for s in self.streams if not s.parent}
        for place, text in texts.items():
            for name in PLACEHOLDER.findall(text):
                if name not in settings:
                    yield f"{place} uses {{{name}}}, which is not in settings"
        for stream in self.streams:
            if stream.parent and stream.parent not in names:
                yield f"the parent of {stream.name!r} is not a stream: {stream.parent!r}"
        for host in self.hosts():
            if (problem := allowlist.entry_problem(host)) is not None:
                yield problem

    def hosts(self) -> list[str]:
        """Return the hosts of the base URL and of the token endpoint, as entries of an allow-list."""
        urls = (self.base_url, self.authentication.token_url)
        return list(dict.fromkeys(_allowlist_entry(url) for url in urls if url))


def _allowlist_entry(url: str) -> str:
    """Return the entry as the validator finds it in the code: `{account}.crm.example` becomes `*.crm.example`."""
    host = re.sub(r"^https?://", "", url).partition("/")[0].lower()
    if PLACEHOLDER.fullmatch(host):
        return host
    if "{" in host:
        return f"*.{host.rpartition('}')[2].partition('.')[2]}"
    return allowlist.host_of(f"https://{host}") or host


def _require_plain_braces(text: str) -> None:
    if re.search(r"[{}]", PLACEHOLDER.sub("", text)):
        raise ValueError("braces must contain the name of a setting or field, such as {account}")
