"""Keyset pagination. A page needs a constant number of queries, and stays correct while rows are added and removed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import orjson
from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from apps.web.problems import Problem

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class Row(Protocol):
    """A row of a `.values()` query: its columns by name."""

    def __getitem__(self, column: str, /) -> Any: ...


RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, slots=True)
class Order:
    """A sort order: a column and its direction; rows with equal values are ordered by id in the same direction."""

    column: str
    descending: bool = False
    parse: Callable[[str], Any] = str


def parse_time(text: str) -> datetime:
    """Parse the time in a cursor. Raises ValueError if the time has no time zone."""
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("a time without a zone")
    return value


def newest_first(column: str = "created_at") -> Order:
    return Order(column, descending=True, parse=parse_time)


def oldest_first(column: str = "created_at") -> Order:
    return Order(column, parse=parse_time)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the list: after, or with `backwards` before, the row with this sort value and id."""

    order: str
    backwards: bool
    value: str
    id: UUID

    def encode(self) -> str:
        raw = orjson.dumps([self.order, self.backwards, self.value, str(self.id)])
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            order, backwards, value, row_id = orjson.loads(raw)
            if "\0" in str(value):
                raise ValueError("a cursor's value contains NUL")
            return cls(str(order), bool(backwards), str(value), UUID(row_id))
        except (ValueError, TypeError, AttributeError, binascii.Error):
            raise _bad_query("cursor", "This is not a cursor of this list.") from None


def limit_of(request: Request, maximum: int = MAX_LIMIT) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= maximum):
        raise _bad_query("limit", f"limit must be a whole number from 1 to {maximum}.")
    return int(text)


def page(
    request: Request,
    rows: QuerySet[Any, RowT],
    *,
    orders: Mapping[str, Order],
    default: str,
    render: Callable[[RowT], object] | None = None,
    render_all: Callable[[Sequence[RowT]], Sequence[object]] | None = None,
) -> Response:
    """Return one page of `rows` (a `.values()` query with `id` and the sort columns), in two queries.

    `render` renders each row, or `render_all` all of them, if they need further queries. `orders` maps the allowed values of `?order=` to columns.
    """
    limit = limit_of(request)
    text = request.query_params.get("cursor")
    cursor = Cursor.decode(text) if text else None
    name = cursor.order if cursor else request.query_params.get("order", default)
    order = orders.get(name)
    if order is None:
        raise _bad_query("order", f"order must be one of {', '.join(orders)}.")
    rows_of_page = _fetch_rows(rows, order, cursor, limit)
    has_more = len(rows_of_page) > limit
    rows_of_page = rows_of_page[:limit]
    if cursor and cursor.backwards:
        rows_of_page.reverse()
    next_cursor, previous_cursor = _neighbour_cursors(rows_of_page, has_more, cursor, name, order)
    results: Sequence[object] = [render(row) for row in rows_of_page] if render else rows_of_page
    return Response(
        {
            "results": render_all(rows_of_page) if render_all else results,
            "next": next_cursor,
            "previous": previous_cursor,
            "count": rows.order_by().values("id").count(),
        }
    )


def _neighbour_cursors(
    rows_of_page: Sequence[Row], has_more: bool, cursor: Cursor | None, name: str, order: Order
) -> tuple[str | None, str | None]:
    """Return the cursors of the next and the previous page.

    If the rows of this page were deleted meanwhile, return only the cursor of the page from which the client came.
    """
    backwards = cursor is not None and cursor.backwards
    if not rows_of_page:
        reversed_cursor = _reversed_cursor(cursor, order) if cursor else None
        return (reversed_cursor, None) if backwards else (None, reversed_cursor)
    has_next, has_previous = (True, has_more) if backwards else (has_more, cursor is not None)
    return (
        _cursor_at(rows_of_page[-1], name, order, backwards=False) if has_next else None,
        _cursor_at(rows_of_page[0], name, order, backwards=True) if has_previous else None,
    )


def _reversed_cursor(cursor: Cursor, order: Order) -> str:
    """Return a cursor for the same position in the other direction.

    Its page includes the row of `cursor`, because the id is replaced by the largest or smallest possible id.
    """
    uses_largest_id = order.descending == cursor.backwards
    return Cursor(
        cursor.order, not cursor.backwards, cursor.value, UUID(int=-uses_largest_id % 2**128)
    ).encode()


def _fetch_rows(
    rows: QuerySet[Any, RowT], order: Order, cursor: Cursor | None, limit: int
) -> list[RowT]:
    descending = order.descending != (cursor is not None and cursor.backwards)
    if cursor:
        comparison = "lt" if descending else "gt"
        try:
            value = order.parse(cursor.value)
        except ValueError:
            raise _bad_query("cursor", "This is not a cursor of this list.") from None
        rows = rows.filter(
            Q(**{f"{order.column}__{comparison}": value})
            | Q(**{order.column: value, f"id__{comparison}": cursor.id})
        )
    sign = "-" if descending else ""
    return list(rows.order_by(f"{sign}{order.column}", f"{sign}id")[: limit + 1])


def _cursor_at(row: Row, name: str, order: Order, *, backwards: bool) -> str:
    value = row[order.column]
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return Cursor(name, backwards, text, row["id"]).encode()


def _bad_query(field: str, message: str) -> Problem:
    return Problem(400, message, "malformed", [(field, message, "invalid")])
