"""The list of pipelines: one statement that returns a page as JSON, and the number of pipelines.

It is the API's most frequent read. PostgreSQL builds the JSON, so Python neither creates objects from the rows
nor serializes them. Every fragment of SQL here is a constant; all request values are passed as parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.web.paging import Cursor

MOMENT = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""


def _utc(column: str) -> str:
    """Format a time as orjson does: with microseconds only if they are not zero."""
    return f"replace(to_char({column} AT TIME ZONE 'UTC', {MOMENT}), '.000000Z', 'Z')"


# Each row is one JSON object, with keys in the order of the response.
ROW = f"""json_build_object(
    'id', p.id, 'name', p.name, 'description', p.description,
    'domain', CASE WHEN d.id IS NOT NULL THEN json_build_object('id', d.id, 'name', d.name) END,
    'tags', p.tags, 'enabled', p.enabled, 'version', p.version,
    'source_kind', p.source_kind, 'destination_kind', p.destination_kind, 'stream', p.stream,
    'schedule', CASE WHEN s.id IS NOT NULL THEN json_build_object(
        'cron', nullif(s.cron, ''), 'interval_seconds', s.interval_seconds, 'timezone', s.timezone,
        'overlap', s.overlap, 'misfire', s.misfire, 'jitter_seconds', s.jitter_seconds,
        'paused_at', {_utc("s.paused_at")}, 'paused_note', s.paused_note) END,
    'next_run_at', {_utc("s.next_run_at")},
    'last_run', CASE WHEN p.last_run_id IS NOT NULL THEN json_build_object(
        'id', p.last_run_id, 'status', p.last_run_status,
        'finished_at', {_utc("p.last_run_finished_at")}, 'records', p.last_run_records) END,
    'created_at', {_utc("p.created_at")}, 'updated_at', {_utc("p.updated_at")})"""

FILTERS = {
    "domain": "p.domain_id = %(domain)s",
    "tags": "p.tags @> %(tags)s::varchar[]",
    "enabled": "p.enabled = %(enabled)s",
    "status": "p.last_run_status = %(status)s",
    "source": "p.source_kind = %(source)s",
    "destination": "p.destination_kind = %(destination)s",
    "connector": "%(connector)s IN (p.source_connector_id, p.destination_connector_id)",
    "q": "(p.name ILIKE %(q)s OR p.description ILIKE %(q)s)",
    "only_domain": "p.domain_id = %(only_domain)s",
}


@dataclass(frozen=True, slots=True)
class By:
    """An order of the list: the expression it sorts by, its type in SQL, and the direction."""

    expression: str
    sql_type: str
    descending: bool


ORDERS = {
    "newest": By("p.created_at", "timestamptz", True),
    "oldest": By("p.created_at", "timestamptz", False),
    "name": By("lower(p.name)", "text", False),
    "updated": By("p.updated_at", "timestamptz", True),
}
DEFAULT = "newest"


@dataclass(frozen=True, slots=True)
class Found:
    """A page: each row's JSON with its sort value and id, in order."""

    rows: list[tuple[str, str, str]]
    more: bool
    count: int


def find(
    *,
    org: Org,
    by: Principal,
    filters: Mapping[str, Any],
    order: str,
    cursor: Cursor | None,
    limit: int,
) -> Found:
    """Return one page of the pipelines that `by` can see.

    The cursor's value must be valid for this order (`fits`).
    """
    if by.only_domain is not None:
        filters = {**filters, "only_domain": by.only_domain}
    backwards = cursor is not None and cursor.backwards
    parameters = {**_bound(filters), "org": org.pk, "most": limit + 1}
    if cursor:
        parameters |= {"after": cursor.value, "after_id": cursor.id}
    with connection.cursor() as database:
        database.execute(
            _statement(tuple(filters), order, cursor is not None, backwards), parameters
        )
        answered = database.fetchall()
    count = answered[0][0]
    rows = [row[1:] for row in answered if row[1] is not None]
    more, rows = len(rows) > limit, rows[:limit]
    return Found(rows[::-1] if backwards else rows, more, count)


def page_of(found: Found, *, order: str, cursor: Cursor | None) -> bytes:
    """Return the response: the envelope of `apps.web.paging` around the rows."""
    backwards = cursor is not None and cursor.backwards
    has_next, has_previous = (True, found.more) if backwards else (found.more, cursor is not None)
    envelope = {
        "next": _cursor(found.rows[-1:], order, backwards=False) if has_next else None,
        "previous": _cursor(found.rows[:1], order, backwards=True) if has_previous else None,
        "count": found.count,
    }
    rows = ",".join(row[0] for row in found.rows)
    return b'{"results":[' + rows.encode() + b"]," + orjson.dumps(envelope)[1:]


def fits(order: str, value: str) -> bool:
    """Whether a cursor's value is valid for this order; otherwise the database would raise an error."""
    if ORDERS[order].sql_type != "timestamptz":
        return True
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _statement(filters: tuple[str, ...], order: str, after: bool, backwards: bool) -> str:
    """Build the statement.

    It reads one row more to know whether more follow; it returns the count even if the page is empty.
    """
    by = ORDERS[order]
    where = " AND ".join(["p.org_id = %(org)s", *(FILTERS[name] for name in filters)])
    way, side = ("DESC", "<") if by.descending != backwards else ("ASC", ">")
    start = f"AND ({by.expression}, p.id) {side} (%(after)s::{by.sql_type}, %(after_id)s)"
    return (
        f"SELECT total.n, page.body, page.sort_value, page.id FROM "  # noqa: S608 - constants of this module
        f"(SELECT count(*) AS n FROM pipelines_pipeline p WHERE {where}) total "
        f"LEFT JOIN LATERAL (SELECT {ROW}::text AS body, {by.expression}::text AS sort_value, "
        f"p.id::text AS id FROM pipelines_pipeline p "
        f"LEFT JOIN orgs_domain d ON d.org_id = p.org_id AND d.id = p.domain_id "
        f"LEFT JOIN pipelines_schedule s ON s.org_id = p.org_id AND s.pipeline_id = p.id "
        f"WHERE {where} {start if after else ''} "
        f"ORDER BY {by.expression} {way}, p.id {way} LIMIT %(most)s) page ON true"
    )


def _bound(filters: Mapping[str, Any]) -> dict[str, Any]:
    return {**filters, "q": containing(filters["q"])} if "q" in filters else dict(filters)


def containing(text: str) -> str:
    """Return a LIKE pattern that matches `text` anywhere, with its wildcards escaped."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _cursor(edge: list[tuple[str, str, str]], order: str, *, backwards: bool) -> str | None:
    if not edge:
        return None
    _, value, row_id = edge[0]
    return Cursor(order, backwards, value, UUID(row_id)).encode()
