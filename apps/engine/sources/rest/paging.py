"""Pagination of the REST source: its settings, and the styles that custom sources use too."""

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
    Field(description="Fail if other fields say that more records follow, such as `has_more`"),
]


class NoPagination(SourceSettings):
    """No pagination: one response has all records."""

    type: Literal["none"]
    hints: Hints = True


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
    hints: Hints = True

    @model_validator(mode="after")
    def _has_place(self) -> CursorToken:
        if bool(self.cursor_path) == bool(self.cursor_header):
            raise ValueError("needs either cursor_path or cursor_header")
        return self


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


def make_style(pagination: Pagination) -> styles.Paging:
    """Return the style that the settings describe."""
    match pagination:
        case PageNumber():
            return counted.PageNumber(
                size=pagination.page_size,
                param=pagination.page_param,
                body_path=pagination.page_body_path or "",
                size_param=pagination.size_param or "",
                size_path=pagination.size_body_path or "",
                start=pagination.first_page,
                total=pagination.total_path or "",
                total_header=pagination.total_header,
                maximum=pagination.maximum_page,
                more=pagination.more_path or "",
                hints=pagination.hints,
            )
        case OffsetLimit():
            limit_param = "" if pagination.limit_body_path else pagination.limit_param or ""
            return counted.Offset(
                size=pagination.page_size,
                param=pagination.offset_param,
                body_path=pagination.offset_body_path or "",
                size_param=limit_param,
                size_path=pagination.limit_body_path or "",
                start=pagination.first_offset,
                total=pagination.total_path or "",
                total_header=pagination.total_header,
                maximum=pagination.maximum_offset,
                more=pagination.more_path or "",
                hints=pagination.hints,
            )
        case CursorToken():
            return styles.Cursor(
                pagination.cursor_path,
                header=pagination.cursor_header,
                param=pagination.cursor_param,
                body_path=pagination.cursor_body_path or "",
                size=pagination.page_size,
                size_param=pagination.size_param or "",
                size_path=pagination.size_body_path or "",
                more=pagination.more_path or "",
                hints=pagination.hints,
            )
        case NextLink():
            options: dict[str, Any] = {
                "size": pagination.page_size,
                "size_param": pagination.size_param or "",
                "more": pagination.more_path or "",
                "hints": pagination.hints,
            }
            if not pagination.link_path:
                return styles.LinkHeader(**options)
            return styles.NextUrl(pagination.link_path, **options)
        case NoPagination():
            return styles.Paging(hints=pagination.hints)
