"""Read the rows of a window of the cursor field, and divide a window into chunks for a backfill."""

from __future__ import annotations

from math import ceil
from typing import LiteralString

import psycopg
from psycopg import sql

from apps.engine.failures import ConfigurationError
from apps.engine.postgres import Cursor
from apps.engine.sources.postgres.columns import PgColumn
from apps.engine.sources.postgres.pages import KeyPlan, WholePlan
from apps.engine.sources.postgres.tables import (
    COUNTABLE_BYTES,
    Relation,
    TableFacts,
    estimate_rows,
)
from apps.engine.sources.postgres.watermarks import TIME_CONDITIONS, literal_value
from apps.engine.windows import CursorWindow, WindowPlan, WindowRequest
from apps.json import JsonObject

MAX_CHUNKS = 1_000
# The first value of a table without an index may take long to find. The window is then one chunk.
FIRST_VALUE_SECONDS = 5
# How the value at a share of the distance between two values is computed, by the type of the cursor field.
BETWEEN: dict[str, LiteralString] = {
    **dict.fromkeys(("timestamptz", "timestamp"), "low + (high - low) * (i::float8 / {count})"),
    "date": "low + ((high - low)::bigint * i / {count})::int",
    **dict.fromkeys(("int2", "int4", "int8"), "trunc(low + (high::numeric - low) * i / {count})"),
}


def make_window_plan(
    table: Relation, window: CursorWindow, protected_fields: frozenset[str]
) -> KeyPlan | WholePlan:
    """Return the order in which the rows of a window are read. Raises ConfigurationError.

    The position of a page contains a key, so a key with protected fields is not used.
    """
    cursor = window_column(table, window.field)
    conditions = window_conditions(cursor, window.start, window.end)
    if not table.key or not protected_fields.isdisjoint({cursor.name, *table.key}):
        return WholePlan(conditions)
    key = (table.column(name) for name in table.key if name != cursor.name)
    return KeyPlan((cursor, *key), conditions)


def window_column(table: Relation, name: str) -> PgColumn:
    """Return the cursor field. Raises ConfigurationError if its values are not times, dates or integers."""
    column = table.column(name)
    if column.base_type not in BETWEEN or column.typtype == "A":
        raise ConfigurationError(
            f"A window needs a cursor field of times, dates or integers, and {name!r} of {table.stream_name} has the"
            f" type {column.type}"
        )
    return column


def window_conditions(cursor: PgColumn, start: str | None, end: str) -> tuple[sql.Composable, ...]:
    before_end = sql.SQL("{} < {}").format(cursor.sql, literal_value(cursor, end))
    if start is None:
        return (before_end,)
    return sql.SQL("{} >= {}").format(cursor.sql, literal_value(cursor, start)), before_end


def count_rows(
    cursor: Cursor, table: Relation, facts: TableFacts, window: CursorWindow | None
) -> int | None:
    """Return the number of rows of the window or of the whole table, or None if it is unknown or zero."""
    if window is not None:
        return count_window(cursor, table, window)[0]
    return estimate_rows(cursor, table, facts)


def count_window(cursor: Cursor, table: Relation, window: CursorWindow) -> tuple[int, bool]:
    """Return the number of rows in the window, and whether they were counted. Else the planner estimates it."""
    conditions = window_conditions(window_column(table, window.field), window.start, window.end)
    source = sql.SQL("{} WHERE {}").format(table.aliased_sql, sql.SQL(" AND ").join(conditions))
    size = cursor.execute("SELECT pg_relation_size(%s::oid::regclass)", [table.oid]).fetchone()
    if table.relkind in {"r", "m"} and size and size[0] <= COUNTABLE_BYTES:
        counted = cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(source)).fetchone()
        return (int(counted[0]) if counted else 0), True
    query = sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM {}").format(source)
    row = cursor.execute(query).fetchone()
    return (int(row[0][0]["Plan"]["Plan Rows"]) if row else 0), False


def plan_window(
    cursor: Cursor, table: Relation, request: WindowRequest, state: JsonObject
) -> WindowPlan:
    """Divide the window into chunks of about the same width. Raises ConfigurationError for a window that is not possible.

    It ends at the saved position at the latest, because the next run reads the rows from there on.
    """
    column = window_column(table, request.field)
    after = state.get("after")
    if not isinstance(after, list) or not after or state.get("cursor_field") != request.field:
        raise ConfigurationError(
            f"{table.stream_name} has no saved position: its next run reads all rows"
        )
    name = table.stream_name
    position = _to_value(cursor, column, str(after[0]), f"the saved position of {name}")
    end = _to_value(cursor, column, request.end, f"`to` of {name}") if request.end else position
    start = None
    if request.start:
        start = _to_value(cursor, column, request.start, f"`from` of {name}")
    if _is_less(cursor, column, position, end):
        raise ConfigurationError(
            f"The window of {name} may end at {position} at the latest, its saved position: its runs read the rows from"
            " there on"
        )
    if start is not None and not _is_less(cursor, column, start, end):
        raise ConfigurationError(_empty_window(name, start, request.end and end, position))
    rows, is_counted = count_window(cursor, table, CursorWindow(request.field, start, end))
    count = min(MAX_CHUNKS, max(1, ceil(rows / request.rows_per_chunk)))
    low = start or (_first_value(cursor, table, column, end) if count > 1 else None)
    between = _values_between(cursor, column, low, end, count) if low and count > 1 else []
    return WindowPlan(start, end, tuple(between), rows, is_counted)


def _empty_window(name: str, start: str, end: str | None, position: str) -> str:
    if end:
        return f"The window of {name} has no rows: `from` ({start}) must be before `to` ({end})"
    return (
        f"The window of {name} has no rows: `from` ({start}) must be before the saved position ({position}), where a window"
        " without `to` ends"
    )


def _to_value(cursor: Cursor, column: PgColumn, text: str, name: str) -> str:
    """Return the value as PostgreSQL writes it."""
    try:
        query = sql.SQL("SELECT {}::text").format(literal_value(column, text))
        row = cursor.execute(query).fetchone()
    except psycopg.DataError as error:
        raise ConfigurationError(
            f"{name} is not a value of the cursor field {column.name}, which has the type {column.type}"
        ) from error
    value = str(row[0]) if row else ""
    if value.lstrip("-") == "infinity":
        raise ConfigurationError(f"{name} must be finite")
    return value


def _is_less(cursor: Cursor, column: PgColumn, one: str, other: str) -> bool:
    values = (literal_value(column, text) for text in (one, other))
    row = cursor.execute(sql.SQL("SELECT {} < {}").format(*values)).fetchone()
    return bool(row and row[0])


def _first_value(cursor: Cursor, table: Relation, column: PgColumn, end: str) -> str | None:
    """Return the first finite value before the end, or None if there is none or if it takes too long to find."""
    conditions = [*window_conditions(column, None, end)]
    if column.base_type in TIME_CONDITIONS:
        conditions.append(sql.SQL("{} > '-infinity'").format(column.sql))
    query = sql.SQL("SELECT min({})::text FROM {} WHERE {}").format(
        column.sql, table.aliased_sql, sql.SQL(" AND ").join(conditions)
    )
    try:
        with cursor.connection.transaction():
            cursor.execute(f"SET LOCAL statement_timeout = {int(FIRST_VALUE_SECONDS * 1000)}")
            row = cursor.execute(query).fetchone()
    except psycopg.errors.QueryCanceled:
        return None
    return row[0] if row else None


def _values_between(cursor: Cursor, column: PgColumn, low: str, high: str, count: int) -> list[str]:
    """Return the values that divide the distance into `count` parts, without those that are the same."""
    value = sql.SQL(BETWEEN[column.base_type]).format(count=sql.Literal(count))
    query = sql.SQL(
        "SELECT value::text FROM (SELECT DISTINCT low, high, ({value})::{type} AS value"
        " FROM (SELECT {low} AS low, {high} AS high) AS bounds, generate_series(1, {last}) AS i) AS parts"
        " WHERE value > low AND value < high ORDER BY parts.value"
    ).format(
        value=value,
        type=sql.SQL(column.type),
        low=literal_value(column, low),
        high=literal_value(column, high),
        last=sql.Literal(count - 1),
    )
    # A hostile server may send more rows than that.
    return [text for (text,) in cursor.execute(query).fetchmany(count)]
