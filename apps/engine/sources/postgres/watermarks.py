"""Which values of a cursor field may become the saved position of an incremental stream.

A plausible value is finite, and a time is at most one day in the future. A position beyond that would hide every row
that is added later. The same holds for the greatest integer of a type, and for numbers such as 9999-12-31 in seconds if the
other values are times (see `drover._number_times`). Text is plausible if it has the form of most values and that form sorts by time. The other rows, and
rows without a value, have no place in the order of the cursor field. They are read at the beginning of a sync. The state
stores their digests, so that the next sync reads only those that are new:

    with a key     the digest of the cursor field and the key
    without a key  the digest of the columns (see row_digests.py)

A row whose time was in the future is not read again when that time has come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from apps.engine.failures import ConfigurationError, ContractError
from apps.engine.library import number_times
from apps.engine.postgres import Cursor
from apps.engine.sources.postgres.columns import FLOAT_TYPES, ROW_ALIAS, PgColumn
from apps.engine.sources.postgres.row_digests import RowColumns, row_digest
from apps.engine.sources.postgres.tables import Relation
from apps.engine.sources.postgres.text_cursors import TIME_FORM, TYPES_WITH_FORM

MAX_UNPLACED = 10_000  # rows without a plausible value whose digests are stored
# Conditions for rows with a plausible value, and for all others. Times are compared with the clock of the database, in UTC.
TIME_CONDITIONS: dict[str, tuple[LiteralString, LiteralString]] = {
    "timestamptz": (
        "{0} > '-infinity' AND {0} <= transaction_timestamp() + interval '1 day'",
        "({0} IS NULL OR {0} <= '-infinity' OR {0} > transaction_timestamp() + interval '1 day')",
    ),
    "timestamp": (
        "{0} > '-infinity' AND {0} <= LOCALTIMESTAMP + interval '1 day'",
        "({0} IS NULL OR {0} <= '-infinity' OR {0} > LOCALTIMESTAMP + interval '1 day')",
    ),
    "date": (
        "{0} > '-infinity' AND {0} <= CURRENT_DATE + 1",
        "({0} IS NULL OR {0} <= '-infinity' OR {0} > CURRENT_DATE + 1)",
    ),
}
NUMBER_CONDITIONS: tuple[LiteralString, LiteralString] = (  # PostgreSQL sorts NaN above Infinity.
    "{0} > '-Infinity' AND {0} < 'Infinity'",
    "({0} IS NULL OR {0} <= '-Infinity' OR {0} >= 'Infinity')",
)
NULL_CONDITIONS: tuple[LiteralString, LiteralString] = ("{0} IS NOT NULL", "{0} IS NULL")
DAY_AFTER_TOMORROW: LiteralString = "to_char(LOCALTIMESTAMP + interval '2 days', 'YYYY-MM-DD')"


# The greatest number of each type that numbers of placeholders are compared with.
GREATEST_NUMBERS: dict[str, int] = {
    "int2": 2**15 - 1,
    "int4": 2**31 - 1,
    "oid": 2**32 - 1,
    "int8": 2**63 - 1,
    **dict.fromkeys((*FLOAT_TYPES, "numeric"), 2**64),
}
TOMORROW: LiteralString = "transaction_timestamp() + interval '1 day'"
SAMPLE_ROWS = 1000


def find_unit(cursor: Cursor, table: Relation, column: PgColumn, state: Mapping[str, Any]) -> str:
    """Return the unit of a cursor field of numbers that are times; empty for other numbers."""
    if column.base_type not in GREATEST_NUMBERS:
        return ""
    if state.get("after"):
        return number_times.find_unit([_number(state["after"][0])])
    query = sql.SQL("SELECT ({0})::text FROM {1} WHERE {0} IS NOT NULL LIMIT {2}").format(
        column.sql, table.aliased_sql, sql.Literal(SAMPLE_ROWS)
    )
    rows = cursor.execute(query).fetchall()
    return number_times.find_unit([_number(text) for (text,) in rows])


def _number_of_tomorrow(unit: str) -> sql.Composable:
    """Return the number of tomorrow, by the clock of the database."""
    tomorrow = sql.SQL(TOMORROW)
    if unit in number_times.EPOCH_UNITS:
        factor = sql.Literal(number_times.EPOCH_UNITS[unit])
        return sql.SQL("(extract(epoch FROM {}) * {})::bigint").format(tomorrow, factor)
    return sql.SQL("to_char({}, {})::bigint").format(tomorrow, sql.Literal(unit))


def _number(text: str) -> Decimal:
    """Return the number; 0 for a position of another cursor field, which is refused later, and for infinities."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return Decimal(0)
    return number if number.is_finite() else Decimal(0)


@dataclass(frozen=True, slots=True)
class Unplaced:
    """The rows that have no plausible value in the cursor field: digests for the state, and those not read before."""

    digests: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watermark:
    """The cursor field of a table. `known` are the digests of the rows without a place that were read before."""

    table: Relation
    cursor: PgColumn
    rows: RowColumns  # by which rows without a key are recognized
    known: tuple[str, ...] = ()
    form: str = ""  # of text and UUIDs, see text_cursors.py; of numbers that are times, their unit

    @property
    def has_place(self) -> sql.Composable:
        """Return the condition for rows with a plausible value."""
        if not self.is_text:
            condition = sql.SQL(self._conditions[0]).format(self.cursor.sql)
            return sql.SQL(" AND NOT ").join([condition, *self._placeholder_conditions])
        if not self.form:
            return sql.SQL("false")
        condition = sql.SQL("({0})::text ~ {1}").format(self.cursor.sql, sql.Literal(self.form))
        if not self.form.startswith(TIME_FORM):
            return condition
        return sql.SQL("{0} AND {1} >= '0001' AND {1} < {2}").format(
            condition, self.cursor.sql, sql.SQL(DAY_AFTER_TOMORROW)
        )

    @property
    def lacks_place(self) -> sql.Composable:
        """Return the condition for all other rows, in a form for which PostgreSQL can use an index."""
        if self.is_text:
            return sql.SQL("({}) IS NOT TRUE").format(self.has_place)
        condition = sql.SQL(self._conditions[1]).format(self.cursor.sql)
        if not self._placeholder_conditions:
            return condition
        any_of = sql.SQL(" OR ").join([condition, *self._placeholder_conditions])
        return sql.SQL("({})").format(any_of)

    @property
    def _placeholder_conditions(self) -> list[sql.Composable]:
        """Return the conditions for numbers that are placeholders."""
        limit = GREATEST_NUMBERS.get(self.cursor.base_type)
        if limit is None:
            return []
        column, unit = self.cursor.sql, self.form
        numbers = {32_767} if self.cursor.base_type == "int2" else {*number_times.GREATEST_INTEGERS}
        if unit:
            numbers |= number_times.far_times(unit)
        usable = sql.SQL(", ").join(map(sql.Literal, sorted(n for n in numbers if n <= limit)))
        conditions: list[sql.Composable] = [sql.SQL("{} IN ({})").format(column, usable)]
        if unit and limit > number_times.last_days(unit)[1]:
            first, last = map(sql.Literal, number_times.last_days(unit))
            conditions.append(sql.SQL("({} BETWEEN {} AND {})").format(column, first, last))
        if unit and number_times.is_time_name(self.cursor.name):
            conditions.append(sql.SQL("{} > {}").format(column, _number_of_tomorrow(unit)))
        return conditions

    @property
    def is_text(self) -> bool:
        return self.cursor.base_type in TYPES_WITH_FORM

    @property
    def _conditions(self) -> tuple[LiteralString, LiteralString]:
        base_type = self.cursor.base_type
        if base_type in TIME_CONDITIONS:
            return TIME_CONDITIONS[base_type]
        return NUMBER_CONDITIONS if base_type in {*FLOAT_TYPES, "numeric"} else NULL_CONDITIONS

    @property
    def may_lack_place(self) -> bool:
        """Whether there may be rows without a plausible value."""
        is_integer = self.cursor.field_type == "integer"
        return self.cursor.nullable or not is_integer or bool(self._placeholder_conditions)

    def conditions(self, upper: str | None) -> list[sql.Composable]:
        """Return the conditions for the rows that are read in order, up to the value `upper`."""
        conditions = [self.has_place]
        if upper is not None:
            limit = literal_value(self.cursor, upper)
            conditions.append(sql.SQL("{} <= {}").format(self.cursor.sql, limit))
        if self.known and not self.has_lost_digests:
            conditions.append(self._is_new)
        return conditions

    def find_upper(self, cursor: Cursor) -> str | None:
        """Return the largest plausible value as text, or None if there is none."""
        query = sql.SQL("SELECT ({0})::text FROM {1} WHERE {2} ORDER BY {0} DESC LIMIT 1").format(
            self.cursor.sql, self.table.aliased_sql, self.has_place
        )
        row = cursor.execute(query).fetchone()
        return row[0] if row else None

    def check_position(self, cursor: Cursor, state: Mapping[str, Any], contents: str) -> None:
        """Raise ConfigurationError if the saved position hides rows: those that are added later, or all of another table.

        `contents` identifies the rows of the table, and the state has that of the table whose rows it has read.
        """
        if not state.get("after"):
            return
        value = state["after"][0]
        try:
            self._check_value(
                cursor, value, is_other_table=state.get("contents", contents) != contents
            )
        except psycopg.DataError as error:
            raise ConfigurationError(
                f"the saved position {value!r} of {self.cursor.name} is not a value of the type {self.cursor.type}:"
                " reset the stream, or set its position to a value of this type"
            ) from error

    def _check_value(self, cursor: Cursor, value: str, *, is_other_table: bool) -> None:
        if is_other_table:
            self._require_reached(cursor, value)
        query = sql.SQL("SELECT {} FROM (SELECT {} AS {}) AS {}").format(
            self.has_place,
            literal_value(self.cursor, value),
            sql.Identifier(self.cursor.name),
            sql.Identifier(ROW_ALIAS),
        )
        row = cursor.execute(query).fetchone()
        if row and not row[0]:
            raise ConfigurationError(
                f"the saved position {value!r} of {self.cursor.name} hides all rows that are added later:"
                " reset the stream, or set its position to a value up to now"
            )

    def _require_reached(self, cursor: Cursor, value: str) -> None:
        """Raise ConfigurationError if all values of a table that was emptied or created anew are below the position."""
        upper = self.find_upper(cursor)
        if upper is None:
            return
        query = sql.SQL("SELECT {} < {}").format(
            literal_value(self.cursor, upper), literal_value(self.cursor, value)
        )
        row = cursor.execute(query).fetchone()
        if row and row[0]:
            raise ConfigurationError(
                f"{self.table.stream_name} was emptied, rewritten or created anew since the last sync, and its greatest"
                f" {self.cursor.name} {upper!r} is below the saved position {value!r}, so its rows would not be read:"
                " reset the stream, or set its position to a value before them"
            )

    def find_unplaced(self, cursor: Cursor, state: Mapping[str, Any]) -> Unplaced:
        """Find the rows that are not read in order. `state` is that of the last sync. Raises ContractError for too many."""
        if not self.may_lack_place and not self.known:
            return Unplaced((), ())
        present = self._digests(cursor, self.lacks_place)
        if len(present) > MAX_UNPLACED:
            raise ContractError(
                f"More than {MAX_UNPLACED:,} rows of {self.table.stream_name} have no value in {self.cursor.name} that"
                " can be a position (they are null, infinite or in the future). Choose a cursor field that every new"
                " row has, or read the table by full refresh"
            )
        if self.has_lost_digests and self.known:
            self.rows.require_as_many(self.table, len(present), len(self.known))
            return Unplaced(tuple(sorted(present)), ())
        known = set(self.known)
        passed = known.difference(present)
        if passed:
            # Their times were in the future. The digests are stored until the position is beyond them.
            passed = set(self._digests(cursor, self._is_passed(sorted(passed), state)))
        digests = sorted({*present, *passed})
        return Unplaced(tuple(digests), tuple(sorted(set(present) - known)))

    def _is_passed(self, digests: list[str], state: Mapping[str, Any]) -> sql.Composable:
        is_passed = sql.SQL("{} AND {} = ANY({})").format(
            self.has_place, self.digest, sql.Literal(digests)
        )
        if not state.get("after"):
            return is_passed
        position = literal_value(self.cursor, state["after"][0])
        return sql.SQL("{} AND {} >= {}").format(is_passed, self.cursor.sql, position)

    def unplaced_clauses(self) -> sql.Composable:
        """Return the part of the query for new rows without a place, after the table's name."""
        condition = sql.SQL("WHERE {}").format(self.lacks_place)
        return sql.SQL("{} AND {}").format(condition, self._is_new) if self.known else condition

    @property
    def digest(self) -> sql.Composable:
        """Return the digest by which a row without a place is recognised."""
        if not self.table.key:
            return self.rows.digest
        key = [self.table.column(name) for name in self.table.key if name != self.cursor.name]
        return row_digest([self.cursor, *key])

    @property
    def has_lost_digests(self) -> bool:
        """Whether the digests of the state say nothing about the rows any more."""
        return self.rows.is_lost and not self.table.key

    @property
    def _is_new(self) -> sql.Composable:
        return sql.SQL("{} <> ALL({})").format(self.digest, sql.Literal(list(self.known)))

    def _digests(self, cursor: Cursor, condition: sql.Composable) -> list[str]:
        query = sql.SQL("SELECT DISTINCT {} FROM {} WHERE {} LIMIT {}").format(
            self.digest, self.table.aliased_sql, condition, sql.Literal(MAX_UNPLACED + 1)
        )
        return [digest for (digest,) in cursor.execute(query).fetchall()]


def literal_value(column: PgColumn, text: str) -> sql.Composable:
    """Return the text as a value of the column's type."""
    # The type's name comes from the server's own format_type(), which quotes it.
    return sql.SQL("CAST({} AS {})").format(sql.Literal(text), sql.SQL(column.type))
