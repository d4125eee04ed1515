"""Pagination of the REST source: its settings, which make the styles that custom sources use too."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from apps.engine.library import counted, paths, styles
from apps.engine.sources.connector import SourceSettings


def _check_path(path: str) -> str:
    paths.parse(path)
    return path


def _check_path_of_value(path: str) -> str:
    if any(step.is_each for step in paths.parse(path)):
        raise ValueError("leads to several values; [] and * are for the path of the records only")
    return path


# Names joined by dots. A name with a dot is in quotes; a number is an index, and -1 is the last.
PATH_FIELD = Field(
    max_length=500,
    json_schema_extra={
        "pattern": paths.PATTERN,
        "x-pattern-message": "Must be names joined by dots, such as meta.next; a name with a dot is in quotes.",
    },
)
Path = Annotated[str, PATH_FIELD, AfterValidator(_check_path_of_value)]
RecordsPath = Annotated[str, PATH_FIELD, AfterValidator(_check_path)]
BodyPath = Annotated[
    Path | None,
    Field(
        description="Path in the JSON body, for APIs that do not take it as a query parameter",
        examples=["variables.after"],
    ),
]
MorePath = Annotated[
    Path | None,
    Field(description="Path of the field that is true if more pages follow", examples=["has_more"]),
]
Hints = Annotated[
    bool,
    Field(
        description="Fail if other fields say that more records follow, such as `has_more`, or that a response is an error"
    ),
]

StopAfterEmptyPage = Annotated[
    bool,
    Field(
        description="End the stream at the first page without records, for APIs whose pages always have a cursor or link"
    ),
]


class NoPagination(SourceSettings):
    """No pagination: one response has all records."""

    type: Literal["none"]
    hints: Hints = True

    def style(self) -> styles.Paging:
        return styles.Paging(hints=self.hints)


class PageNumber(SourceSettings):
    """Numbered pages; the first empty page ends the stream."""

    type: Literal["page"]
    page_param: str = Field("page", min_length=1, description="Query parameter for the page number")
    first_page: int = Field(1, ge=0, description="Number of the first page")
    page_body_path: BodyPath = None
    size_param: str | None = Field(
        None,
        description="Query parameter for the page size, if there is one",
        examples=["per_page"],
    )
    size_body_path: BodyPath = None
    page_size: int = Field(100, ge=1, le=100_000, description="Records per page")
    total_path: Path | None = Field(
        None, description="Path of the number of pages", examples=["meta.total_pages"]
    )
    total_header: str = Field(
        "",
        max_length=200,
        description="Header with the number of pages",
        examples=["X-Total-Pages"],
    )
    maximum_page: int | None = Field(None, ge=0, description="Number of the last page to read")
    more_path: MorePath = None
    hints: Hints = True

    def style(self) -> styles.Paging:
        return counted.PageNumber(
            size=self.page_size,
            param=self.page_param,
            body_path=self.page_body_path or "",
            size_param=self.size_param or "",
            size_path=self.size_body_path or "",
            start=self.first_page,
            total=self.total_path or "",
            total_header=self.total_header,
            maximum=self.maximum_page,
            more=self.more_path or "",
            hints=self.hints,
        )


class OffsetLimit(SourceSettings):
    """An offset in records; the first empty page ends the stream."""

    type: Literal["offset"]
    offset_param: str = Field("offset", min_length=1, description="Query parameter for the offset")
    offset_body_path: BodyPath = None
    limit_param: str | None = Field("limit", description="Query parameter for the page size")
    limit_body_path: BodyPath = None
    page_size: int = Field(100, ge=1, le=100_000, description="Records per page")
    first_offset: int = Field(0, ge=0, description="Offset of the first record")
    total_path: Path | None = Field(
        None, description="Path of the number of records", examples=["meta.total"]
    )
    total_header: str = Field(
        "",
        max_length=200,
        description="Header with the number of records",
        examples=["X-Total-Count"],
    )
    maximum_offset: int | None = Field(None, ge=0, description="Largest offset to request")
    more_path: MorePath = None
    hints: Hints = True

    def style(self) -> styles.Paging:
        return counted.Offset(
            size=self.page_size,
            param=self.offset_param,
            body_path=self.offset_body_path or "",
            size_param="" if self.limit_body_path else self.limit_param or "",
            size_path=self.limit_body_path or "",
            start=self.first_offset,
            total=self.total_path or "",
            total_header=self.total_header,
            maximum=self.maximum_offset,
            more=self.more_path or "",
            hints=self.hints,
        )


class CursorToken(SourceSettings):
    """Each response has the token of the next page."""

    type: Literal["cursor"]
    cursor_path: Path = Field(
        "",
        description="Path of the token in the response, also in its last record",
        examples=["meta.next_cursor", "data.-1.id"],
    )
    cursor_header: str = Field(
        "", max_length=200, description="Header of the token, if it is not in the body"
    )
    cursor_param: str = Field("cursor", min_length=1, description="Query parameter for the token")
    cursor_body_path: BodyPath = None
    size_param: str | None = Field(
        None, description="Query parameter for the page size, if there is one"
    )
    size_body_path: BodyPath = None
    page_size: int = Field(100, ge=1, le=100_000, description="Records per page")
    more_path: MorePath = None
    stop_after_empty_page: StopAfterEmptyPage = False
    hints: Hints = True

    @model_validator(mode="after")
    def _has_place(self) -> CursorToken:
        if bool(self.cursor_path) == bool(self.cursor_header):
            raise ValueError("needs either cursor_path or cursor_header")
        return self

    def style(self) -> styles.Paging:
        return styles.Cursor(
            self.cursor_path,
            header=self.cursor_header,
            param=self.cursor_param,
            body_path=self.cursor_body_path or "",
            size=self.page_size,
            size_param=self.size_param or "",
            size_path=self.size_body_path or "",
            more=self.more_path or "",
            stop_after_empty_page=self.stop_after_empty_page,
            hints=self.hints,
        )


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
    stop_after_empty_page: StopAfterEmptyPage = False
    hints: Hints = True

    def style(self) -> styles.Paging:
        options: dict[str, Any] = {
            "size": self.page_size,
            "size_param": self.size_param or "",
            "more": self.more_path or "",
            "stop_after_empty_page": self.stop_after_empty_page,
            "hints": self.hints,
        }
        if not self.link_path:
            return styles.LinkHeader(**options)
        return styles.NextUrl(self.link_path, **options)


Pagination = Annotated[
    NoPagination | PageNumber | OffsetLimit | CursorToken | NextLink, Field(discriminator="type")
]
