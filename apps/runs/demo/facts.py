"""Summarize a table by a count and a sum for each column.

The sum of a text column is the sum of its lengths in characters. The sum of a time column is the sum of its seconds
since 1970. The demo treats two tables with the same counts and sums as equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    import polars as pl

SUM_TOLERANCE = 1e-9  # relative tolerance: sums of doubles depend on their order

SUM_EXPRESSIONS = {  # {data type: SQL}
    "text": "sum(length({0}))",
    "character varying": "sum(length({0}))",
    "boolean": "sum({0}::int)",
    "timestamp with time zone": "sum(extract(epoch FROM {0}))",
    "timestamp without time zone": "sum(extract(epoch FROM {0}))",
    "date": "sum(extract(epoch FROM {0}))",
}
NUMBER_SUM = "sum({0})"


@dataclass(frozen=True)
class ColumnFacts:
    """The number of non-null values of a column, and their sum (0 if there are none)."""

    count: int
    sum: float

    def equals(self, other: ColumnFacts) -> bool:
        """Whether both columns have the same count and, apart from rounding, the same sum."""
        return self.count == other.count and math.isclose(
            self.sum, other.sum, rel_tol=SUM_TOLERANCE, abs_tol=SUM_TOLERANCE
        )


@dataclass(frozen=True)
class Facts:
    """The number of rows of one table, and a count and a sum for each column."""

    rows: int
    columns: Mapping[str, ColumnFacts]

    def differences(self, destination: Facts) -> list[str]:
        """Return a sentence for each difference. Additional columns of the destination are ignored."""
        sentences = []
        if self.rows != destination.rows:
            sentences.append(
                f"{self.rows:,} rows in the source, {destination.rows:,} in the destination"
            )
        for name, column in self.columns.items():
            other = destination.columns.get(name)
            if other is None:
                sentences.append(f"{name} is missing")
            elif not column.equals(other):
                sentences.append(
                    f"{name}: {column.count:,} values adding up to {column.sum:,.10g} in the "
                    f"source, {other.count:,} and {other.sum:,.10g} in the destination"
                )
        return sentences


def read_table_facts(url: str, table: str) -> Facts:
    """Read the facts of a PostgreSQL table in schema `public`, with one aggregate query."""
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position",
            [table],
        ).fetchall()
        expressions: list[sql.Composable] = [sql.SQL("count(*)")]
        for name, data_type in columns:
            column = sql.Identifier(name)
            total = sql.SQL(SUM_EXPRESSIONS.get(data_type, NUMBER_SUM)).format(column)
            expressions += [sql.SQL("count({})").format(column), total]
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(expressions), sql.Identifier("public", table)
        )
        row = connection.execute(query).fetchone() or ()
    results = zip(columns, row[1::2], row[2::2], strict=True)
    return Facts(
        row[0], {name: ColumnFacts(count, float(total or 0)) for (name, _), count, total in results}
    )


def compute_frame_facts(frame: pl.DataFrame) -> Facts:
    """Compute the facts of a frame."""
    return Facts(frame.height, {series.name: _column_facts(series) for series in frame})


def _column_facts(series: pl.Series) -> ColumnFacts:
    import polars as pl

    values = series.len() - series.null_count()
    if series.dtype.is_integer():  # The sum of 32-bit integers has 32 bits.
        series = series.cast(pl.Int64)
    if series.dtype == pl.String:
        return ColumnFacts(values, float(series.str.len_chars().sum()))
    if series.dtype.is_temporal():
        # A sum of microseconds can exceed 63 bits.
        seconds = series.cast(pl.Datetime("us")).dt.epoch("us") / 1_000_000
        return ColumnFacts(values, float(seconds.sum() or 0))
    return ColumnFacts(values, float(series.sum() or 0))
