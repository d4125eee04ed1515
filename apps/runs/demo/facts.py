"""Summarize a table by counts and sums of each column, without comparing single rows.

A number's measure is its sum, a text's the sum of its lengths in characters, a time's the sum of its seconds
since 1970. For the demo, two tables with the same facts count as equal.
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

CLOSE = 1e-9  # relative tolerance: sums of doubles depend on their order

MEASURES = {
    "text": "sum(length({0}))",
    "character varying": "sum(length({0}))",
    "boolean": "sum({0}::int)",
    "timestamp with time zone": "sum(extract(epoch FROM {0}))",
    "timestamp without time zone": "sum(extract(epoch FROM {0}))",
    "date": "sum(extract(epoch FROM {0}))",
}
NUMBER = "sum({0})"


@dataclass(frozen=True)
class Column:
    """The number of non-null values of a column, and their sum (0 if there are none)."""

    values: int
    measure: float

    def agrees(self, other: Column) -> bool:
        """Whether both are equal, up to the rounding of sums."""
        return self.values == other.values and math.isclose(
            self.measure, other.measure, rel_tol=CLOSE, abs_tol=CLOSE
        )


@dataclass(frozen=True)
class Facts:
    """The rows and columns of one table."""

    rows: int
    columns: Mapping[str, Column]

    def differences(self, arrived: Facts) -> list[str]:
        """Describe in sentences where a destination differs; additional columns are ignored."""
        found = []
        if self.rows != arrived.rows:
            found.append(f"{self.rows:,} rows in the source, {arrived.rows:,} in the destination")
        for name, column in self.columns.items():
            other = arrived.columns.get(name)
            if other is None:
                found.append(f"{name} is missing")
            elif not column.agrees(other):
                found.append(
                    f"{name}: {column.values:,} values adding up to {column.measure:,.10g} in the "
                    f"source, {other.values:,} and {other.measure:,.10g} in the destination"
                )
        return found


def of_table(url: str, table: str) -> Facts:
    """Read the facts of a PostgreSQL table in schema public, by one aggregate query."""
    with psycopg.connect(url) as connection:
        kinds = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position",
            [table],
        ).fetchall()
        wanted: list[sql.Composable] = [sql.SQL("count(*)")]
        for name, kind in kinds:
            column = sql.Identifier(name)
            measure = sql.SQL(MEASURES.get(kind, NUMBER)).format(column)
            wanted += [sql.SQL("count({})").format(column), measure]
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(wanted), sql.Identifier("public", table)
        )
        row = connection.execute(query).fetchone() or ()
    pairs = zip(kinds, row[1::2], row[2::2], strict=True)
    return Facts(row[0], {kind[0]: Column(n, float(total or 0)) for kind, n, total in pairs})


def of_frame(frame: pl.DataFrame) -> Facts:
    """Compute the facts of a frame."""
    return Facts(frame.height, {series.name: _of_series(series) for series in frame})


def _of_series(series: pl.Series) -> Column:
    import polars as pl

    values = series.len() - series.null_count()
    if series.dtype == pl.String:
        return Column(values, float(series.str.len_chars().sum()))
    if series.dtype.is_temporal():
        seconds = (
            series.cast(pl.Datetime("us")).dt.epoch("us") / 1_000_000
        )  # sums can exceed 63 bits
        return Column(values, float(seconds.sum() or 0))
    return Column(values, float(series.sum() or 0))
