"""Decide once for all pages how a `numeric` column arrives whose declaration does not limit its digits.

Such a column may have a value that no decimal of 38 digits can store, in any row: NaN, an infinity or too many digits.
Then the whole column is read as text, and each value is spelled as in the table. Otherwise all pages have the same
scale. A view is not examined, because that would evaluate it twice; its columns are decided page by page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from psycopg import sql

from apps.engine.frames.columns import DECIMAL_DIGITS
from apps.engine.postgres import Cursor
from apps.engine.process.progress import progress
from apps.engine.sources.postgres.columns import PgColumn
from apps.engine.sources.postgres.connection import allow_long_statements
from apps.engine.sources.postgres.tables import Relation

SCAN_SECONDS = 86_400.0  # the longest time for reading a table once

Scales = Mapping[str, int | None]  # by column; None means that the column is read as text


def find_scales(
    cursor: Cursor, table: Relation, columns: Sequence[PgColumn]
) -> dict[str, int | None]:
    """Read the table once, if it has such columns, and return their scales.

    A column that arrives as PostgreSQL's texts needs none.
    """
    columns = [c for c in columns if c.is_unlimited_numeric and not c.is_postgres_text]
    if not columns or table.relkind == "v":
        return {}
    expressions = [
        sql.SQL("max(scale({0})), max({0})::text, min({0})::text").format(column.sql)
        for column in columns
    ]
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(expressions), table.aliased_sql)
    allow_long_statements(cursor)
    with progress.expect_silence("reading the numbers of the table", SCAN_SECONDS):
        row = cursor.execute(query).fetchone() or ()
    return {
        column.name: _scale(row[start : start + 3])
        for column, start in zip(columns, range(0, len(row), 3), strict=True)
    }


def _scale(facts: Sequence[int | str | None]) -> int | None:
    """Return the scale for the greatest scale, value and least value of a column."""
    scale = int(facts[0] or 0)
    digits = 0
    for text in facts[1:]:
        number = Decimal(text or 0)
        if not number.is_finite():
            return None
        digits = max(digits, number.adjusted() + 1)
    return scale if digits + scale <= DECIMAL_DIGITS else None


def apply_scales(columns: Sequence[PgColumn], scales: Scales) -> tuple[PgColumn, ...]:
    """Return the columns as they arrive."""
    return tuple(_apply_scale(column, scales) for column in columns)


def _apply_scale(column: PgColumn, scales: Scales) -> PgColumn:
    if column.name not in scales:
        return column
    scale = scales[column.name]
    return replace(column, base_type="text") if scale is None else replace(column, scale=scale)
