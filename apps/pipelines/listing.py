"""The list of pipelines: one statement returns a page as JSON, and the number of pipelines.

This is the API's most frequent read. PostgreSQL builds the JSON, so Python does not create or serialize objects for the
rows. Every fragment of SQL in this module is a constant; all values of a request are passed as parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import isfinite
from uuid import UUID

import orjson
from django.db import connection

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.schedules.freshness import FRESHNESS_SQL
from apps.web.paging import Cursor

TIME_FORMAT = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""


def _utc_text(column: str) -> str:
    """Return SQL that formats a time like orjson: with microseconds only if they are not zero."""
    return f"replace(to_char({column} AT TIME ZONE 'UTC', {TIME_FORMAT}), '.000000Z', 'Z')"


# Each row is one JSON object, with keys in the order of the response.
ROW_JSON = f"""json_build_object(
    'id', p.id, 'name', p.name, 'description', p.description,
    'domain', CASE WHEN d.id IS NOT NULL THEN json_build_object('id', d.id, 'name', d.name) END,
    'tags', p.tags, 'enabled', p.enabled, 'version', p.version,
    'source_kind', p.source_kind, 'destination_kind', p.destination_kind, 'stream', p.stream,
    'stream_count', p.stream_count,
    'schedule', CASE WHEN s.id IS NOT NULL THEN json_build_object(
        'cron', nullif(s.cron, ''), 'interval_seconds', s.interval_seconds, 'timezone', s.timezone,
        'overlap', s.overlap, 'misfire', s.misfire, 'jitter_seconds', s.jitter_seconds,
        'blackouts', s.blackouts, 'end_date', s.end_date,
        'paused_at', {_utc_text("s.paused_at")}, 'paused_note', s.paused_note) END,
    'next_run_at', {_utc_text("s.next_run_at")},
    'last_run', CASE WHEN p.last_run_id IS NOT NULL THEN json_build_object(
        'id', p.last_run_id, 'status', p.last_run_status, 'kind', p.last_run_kind,
        'finished_at', {_utc_text("p.last_run_finished_at")}, 'records', p.last_run_records,
        'duration_seconds', p.last_run_seconds) END,
    'freshness', {FRESHNESS_SQL}, 'last_success_at', {_utc_text("p.last_success_at")},
    'failing_since', {_utc_text("p.failing_since")}, 'late_at', {_utc_text("p.late_at")},
    'created_at', {_utc_text("p.created_at")}, 'updated_at', {_utc_text("p.updated_at")})"""

FILTERS = {
    "domain": "p.domain_id = %(domain)s",
    "tags": "p.tags @> %(tags)s::varchar[]",
    "enabled": "p.enabled = %(enabled)s",
    "status": "p.last_run_status = %(status)s",
    "freshness": f"{FRESHNESS_SQL} = %(freshness)s",
    "source": "p.source_kind = %(source)s",
    "destination": "p.destination_kind = %(destination)s",
    "connector": "%(connector)s IN (p.source_connector_id, p.destination_connector_id)",
    "q": "(p.name ILIKE %(q)s OR p.description ILIKE %(q)s)",
    "only_domain": "p.domain_id = %(only_domain)s",
}


FilterValue = str | bool | UUID | list[str]
Filters = Mapping[str, FilterValue]  # the values of the filters in FILTERS


@dataclass(frozen=True, slots=True)
class ListOrder:
    """An order of the list: the SQL expression to sort by, its SQL type, and the direction."""

    expression: str
    sql_type: str
    descending: bool


ORDERS = {
    "newest": ListOrder("p.created_at", "timestamptz", True),
    "oldest": ListOrder("p.created_at", "timestamptz", False),
    "name": ListOrder("lower(p.name)", "text", False),
    "updated": ListOrder("p.updated_at", "timestamptz", True),
    # Pipelines without a next run are last.
    "next_run": ListOrder("coalesce(s.next_run_at, 'infinity')", "timestamptz", False),
    # Live runs are first, and pipelines that never ran are last.
    "last_run": ListOrder(
        "CASE WHEN p.last_run_id IS NULL THEN '-infinity' ELSE coalesce(p.last_run_finished_at, 'infinity') END",
        "timestamptz",
        True,
    ),
    # Pipelines without a finished run are last.
    "duration": ListOrder("coalesce(p.last_run_seconds, -1)", "double precision", True),
}
DEFAULT_ORDER = "newest"
MAX_LIMIT = 1000  # rows per page; the dashboard shows all pipelines, so that it can group them


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of the list. Each row has its JSON, its sort value and its id."""

    rows: list[tuple[str, str, str]]
    has_more: bool
    count: int


def fetch_page(
    *,
    org: Org,
    by: Principal,
    filters: Filters,
    order: str,
    cursor: Cursor | None,
    limit: int,
) -> ListPage:
    """Return one page of the pipelines that `by` can see.

    The cursor's value must be valid for this order (`is_valid_cursor_value`).
    """
    if by.only_domain is not None:
        filters = {**filters, "only_domain": by.only_domain}
    backwards = cursor is not None and cursor.backwards
    parameters = {**filter_parameters(filters), "org": org.pk, "limit": limit + 1}
    if cursor:
        parameters |= {"after": cursor.value, "after_id": cursor.id}
    with connection.cursor() as db_cursor:
        db_cursor.execute(
            _build_statement(tuple(filters), order, cursor is not None, backwards), parameters
        )
        result = db_cursor.fetchall()
    count = result[0][0]
    rows = [row[1:] for row in result if row[1] is not None]
    has_more, rows = len(rows) > limit, rows[:limit]
    return ListPage(rows[::-1] if backwards else rows, has_more, count)


def render_page(page: ListPage, *, order: str, cursor: Cursor | None) -> bytes:
    """Return the body of the response, in the same format as `apps.web.paging`."""
    backwards = cursor is not None and cursor.backwards
    has_next, has_previous = (
        (True, page.has_more) if backwards else (page.has_more, cursor is not None)
    )
    envelope = {
        "next": _encode_cursor(page.rows[-1:], order, backwards=False) if has_next else None,
        "previous": _encode_cursor(page.rows[:1], order, backwards=True) if has_previous else None,
        "count": page.count,
    }
    rows = ",".join(row[0] for row in page.rows)
    return b'{"results":[' + rows.encode() + b"]," + orjson.dumps(envelope)[1:]


def is_valid_cursor_value(order: str, value: str) -> bool:
    """Whether a cursor's value is valid for this order. The database raises an error for an invalid value."""
    sql_type = ORDERS[order].sql_type
    if sql_type == "text" or value in ("infinity", "-infinity"):
        return True
    try:
        if sql_type == "double precision":
            return isfinite(float(value))
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _build_statement(
    filters: tuple[str, ...], order: str, has_cursor: bool, backwards: bool
) -> str:
    """Build the statement.

    The statement reads one row more than the page, to find out whether there is a next page. It returns the count even
    for an empty page.
    """
    list_order = ORDERS[order]
    where = " AND ".join(["p.org_id = %(org)s", *(FILTERS[name] for name in filters)])
    direction, comparison = ("DESC", "<") if list_order.descending != backwards else ("ASC", ">")
    start = f"(%(after)s::{list_order.sql_type}, %(after_id)s)"
    start_condition = f"AND ({list_order.expression}, p.id) {comparison} {start}"
    return (
        f"SELECT total.n, page.body, page.sort_value, page.id FROM "  # noqa: S608 - constants of this module
        f"(SELECT count(*) AS n FROM pipelines_pipeline p WHERE {where}) total "
        f"LEFT JOIN LATERAL (SELECT {ROW_JSON}::text AS body, {list_order.expression}::text AS sort_value, "
        f"p.id::text AS id FROM pipelines_pipeline p "
        f"LEFT JOIN orgs_domain d ON d.org_id = p.org_id AND d.id = p.domain_id "
        f"LEFT JOIN pipelines_schedule s ON s.org_id = p.org_id AND s.pipeline_id = p.id "
        f"WHERE {where} {start_condition if has_cursor else ''} "
        f"ORDER BY {list_order.expression} {direction}, p.id {direction} LIMIT %(limit)s) page ON true"
    )


def filter_parameters(filters: Filters) -> dict[str, FilterValue]:
    """Return the values of the filters as parameters of the fragments in FILTERS."""
    return {**filters, "q": like_pattern(str(filters["q"]))} if "q" in filters else dict(filters)


def like_pattern(text: str) -> str:
    """Return a LIKE pattern for texts that contain `text`. Wildcards in `text` are escaped."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _encode_cursor(
    edge_rows: list[tuple[str, str, str]], order: str, *, backwards: bool
) -> str | None:
    if not edge_rows:
        return None
    _, value, row_id = edge_rows[0]
    return Cursor(order, backwards, value, UUID(row_id)).encode()
