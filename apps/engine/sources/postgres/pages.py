"""The order in which a table is read, and where each page begins.

A position describes the beginning of a page by the data itself, so a page can be read again in another snapshot:

    {"after": [texts]}  rows after a key, in key order
    {"after": [cursor, key], "ties": []}  rows after a cursor value and key, in that order
    {"after": [cursor], "ties": []}  rows from a cursor value on, except rows with these digests (no key)

By a cursor field, all pages of a sync end at the same value `upper`. So a row that changes while the table is read is
not read twice: the next sync reads it.

The incremental state has the last cursor value, and the keys (or digests) of the rows with this value. So rows that
get the same cursor value later are read, and no row is read twice. Without a key, rows that are equal in every column
are counted: their digest is in `ties` as often as they were read. New rows with the last cursor value are read first.
The state has the digest of the table's files (`contents`), which tells whether the table was emptied or created anew. It also names the key, and describes the columns of which digests are made (see row_digests.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import polars as pl
from psycopg import sql

from apps.engine.failures import ConfigurationError, PositionGone
from apps.engine.sources.postgres.columns import FLOAT_TYPES, ROW_ALIAS, PgColumn
from apps.engine.sources.postgres.row_digests import RowColumns
from apps.engine.sources.postgres.tables import Relation
from apps.engine.sources.postgres.text_cursors import with_order_by_bytes
from apps.engine.sources.postgres.watermarks import (
    TIME_CONDITIONS,
    Watermark,
    literal_value,
)

MAX_TIES = 10_000  # keys stored for one cursor value; if there are more, rows are distinguished by key order

Token = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PageQuery:
    """The part of the query after the table's name, and the columns whose texts identify the end of the page."""

    clauses: sql.Composable
    order: tuple[PgColumn, ...] = ()
    can_be_cut: bool = True  # whether the page may end after any row


@dataclass(frozen=True, slots=True)
class PageEnd:
    """The end of a page: its number of rows, and their order texts."""

    row_count: int
    order_texts: pl.DataFrame
    # Digests of the rows with the last cursor value, if the table has no key.
    tied_digests: tuple[str, ...] = ()

    def last_texts(self) -> list[str]:
        return [str(value) for value in self.order_texts.row(-1)]


class Plan(Protocol):
    """An order in which a table is read."""

    def page_query(self, position: Token, limit: int | None) -> PageQuery:
        """Return the query for the page at the position, or for all rows from there on if `limit` is None.

        It may return one row more than `limit`, which shows whether another page follows.
        """

    def next_position(self, position: Token, page_end: PageEnd) -> dict[str, Any]:
        """Return the position after the page."""


@dataclass(frozen=True, slots=True)
class WholePlan:
    """Read all rows that meet the conditions in no order. They are one page, or the pages of one snapshot."""

    conditions: tuple[sql.Composable, ...] = ()

    def page_query(self, position: Token, limit: int | None) -> PageQuery:
        return PageQuery(sql.SQL("{} {}").format(_where_clause(self.conditions), _limit(limit)))

    def next_position(self, position: Token, page_end: PageEnd) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """Read the rows that meet the conditions in the order of a unique key."""

    key: tuple[PgColumn, ...]
    conditions: tuple[sql.Composable, ...] = ()

    def page_query(self, position: Token, limit: int | None) -> PageQuery:
        after = position.get("after")
        where = _where_clause(
            [*self.conditions, *([_after_condition(self.key, after)] if after else [])]
        )
        return PageQuery(_order_and_limit(where, self.key, limit), self.key)

    def next_position(self, position: Token, page_end: PageEnd) -> dict[str, Any]:
        return {"after": page_end.last_texts()} if page_end.row_count else {}


@dataclass(frozen=True, slots=True)
class CursorPlan:
    """Read in the order of a cursor column, then of the key. `state` is the state of the last run."""

    watermark: Watermark
    key: tuple[PgColumn, ...]
    state: Token
    lookback: int = 0  # seconds

    @property
    def order(self) -> tuple[PgColumn, ...]:
        return (self.watermark.cursor, *self.key)

    def page_query(self, position: Token, limit: int | None) -> PageQuery:
        conditions = self.watermark.conditions(position.get("upper"))
        if self.state.get("after"):
            conditions.append(self._newer_than_state_condition())
        if position.get("after"):
            conditions.append(_after_condition(self.order, position["after"]))
        return PageQuery(_order_and_limit(_where_clause(conditions), self.order, limit), self.order)

    def next_position(self, position: Token, page_end: PageEnd) -> dict[str, Any]:
        """Return the position after the page, with the keys of the rows that have its last cursor value."""
        if not page_end.row_count:
            return dict(position)
        after = page_end.last_texts()
        if not self.key:  # The cursor is the key, so two rows never have the same value.
            return {**position, "after": after, "ties": None}
        names = page_end.order_texts.columns
        has_last_value = self._has_value(page_end.order_texts[names[0]], after[0])
        tied_keys = page_end.order_texts.filter(has_last_value).select(names[1:])
        previous = position if position.get("after") else self.state
        known_ties: list[list[str]] | None = []
        if previous.get("after") and self._has_value(pl.Series(previous["after"][:1]), after[0])[0]:
            known_ties = previous.get("ties")
        if known_ties is None or len(known_ties) + tied_keys.height > MAX_TIES:
            return {**position, "after": after, "ties": None}
        ties = known_ties + [list(row) for row in tied_keys.iter_rows()]
        return {**position, "after": after, "ties": ties}

    def _has_value(self, texts: pl.Series, value: str) -> pl.Series:
        """Return which texts of the cursor field have the value. Equal numbers may have several texts: 1.5 and 1.50."""
        if self.watermark.cursor.base_type not in {*FLOAT_TYPES, "numeric"}:
            return texts == value
        number = Decimal(value)
        return texts.is_in([text for text in texts.unique() if Decimal(text) == number])

    def _newer_than_state_condition(self) -> sql.Composable:
        after, ties = self.state["after"], self.state.get("ties")
        if self.lookback:
            return _lookback_condition(self.watermark.cursor, after[0], self.lookback)
        if ties is None or not self.key:
            return _after_condition(self.order, after)
        value = literal_value(self.watermark.cursor, after[0])
        column = self.watermark.cursor.sql
        if not ties:  # A person has written a position from which on all rows are read.
            return sql.SQL("{} >= {}").format(column, value)
        known_rows = sql.SQL(", ").join(_literal_row(self.key, key) for key in ties)
        return sql.SQL("{c} >= {v} AND NOT ({c} = {v} AND {key} IN ({known_rows}))").format(
            c=column, v=value, key=_column_row(self.key), known_rows=known_rows
        )


@dataclass(frozen=True, slots=True)
class TiedCursorPlan:
    """Read a table without a key by a cursor column. All rows with the same cursor value are in the same page."""

    watermark: Watermark
    table: Relation
    state: Token
    lookback: int = 0  # seconds

    def page_query(self, position: Token, limit: int | None) -> PageQuery:
        cursor = self.watermark.cursor
        conditions = self.watermark.conditions(position.get("upper"))
        if position.get("after"):
            conditions.append(self._newer_condition(position))
        elif self.state.get("after") and self.lookback:
            after = self.state["after"][0]
            conditions.append(_lookback_condition(cursor, after, self.lookback))
        elif self.state.get("after"):
            conditions.append(self._newer_condition(self.state))
        order = sql.SQL("{} ORDER BY {}").format(_where_clause(conditions), cursor.sql)
        if limit is None:
            return PageQuery(order, (cursor,))
        with_ties = sql.SQL("{} FETCH FIRST {} ROWS WITH TIES").format(order, sql.Literal(limit))
        return PageQuery(with_ties, (cursor,), can_be_cut=False)

    def digest_query(self, value: str) -> sql.Composed:
        """Return the query for the digests of the rows with a cursor value. It returns at most MAX_TIES + 1 digests."""
        return sql.SQL("SELECT {} FROM {} WHERE {} = {} LIMIT {}").format(
            *(self.watermark.rows.digest, self.table.aliased_sql, self.watermark.cursor.sql),
            *(literal_value(self.watermark.cursor, value), sql.Literal(MAX_TIES + 1)),
        )

    @property
    def has_known_ties(self) -> bool:
        """Whether the last sync has stored the rows with its last cursor value."""
        return bool(self.state.get("after") and self.state.get("ties")) and not self.lookback

    def new_ties(self) -> sql.Composed:
        """Return the part of the query after FROM for new rows with the last cursor value of the last sync.

        Of equal rows, those beyond the number that was read are new.
        """
        digest = self.watermark.rows.digest
        known: Counter[str] = Counter(self.state["ties"])
        return sql.SQL(
            "(SELECT {names}, {digest} AS _drover_digest, row_number() OVER (PARTITION BY {digest}) AS _drover_number"
            " FROM {table} WHERE {cursor} = {value}) AS {alias}"
            " WHERE _drover_number > coalesce(({known}::jsonb ->> _drover_digest)::bigint, 0)"
        ).format(
            names=sql.SQL(", ").join(column.sql for column in self.table.columns),
            digest=digest,
            table=self.table.aliased_sql,
            cursor=self.watermark.cursor.sql,
            value=literal_value(self.watermark.cursor, self.state["after"][0]),
            alias=sql.Identifier(ROW_ALIAS),
            known=sql.Literal(json.dumps(known)),
        )

    def next_position(self, position: Token, page_end: PageEnd) -> dict[str, Any]:
        if not page_end.row_count:
            return dict(position)
        can_be_stored = len(page_end.tied_digests) <= MAX_TIES
        ties = list(page_end.tied_digests) if can_be_stored else None
        return {**position, "after": page_end.last_texts(), "ties": ties}

    def _newer_condition(self, position: Token) -> sql.Composable:
        after, ties = position["after"], position.get("ties")
        cursor = self.watermark.cursor
        if not ties:
            return _after_condition((cursor,), after)
        known_rows = sql.SQL(", ").join(map(sql.Literal, ties))
        return sql.SQL("{c} >= {v} AND NOT ({c} = {v} AND {digest} IN ({known_rows}))").format(
            c=cursor.sql,
            v=literal_value(cursor, after[0]),
            digest=self.watermark.rows.digest,
            known_rows=known_rows,
        )


IncrementalPlan = CursorPlan | TiedCursorPlan


def make_cursor_plan(
    table: Relation, name: str, state: Token, lookback: int = 0, form: str = ""
) -> IncrementalPlan:
    """Return the order for reading a table by its cursor field. `form` is the form of text (see text_cursors.py).

    `lookback` is in seconds, and applies to cursor fields that are times. Raises ConfigurationError if the column
    cannot be a cursor field, or if the cursor field or the key has changed since `state` was stored.
    """
    cursor = with_order_by_bytes(table.cursor_column(name))
    if state and state.get("cursor_field") != name:
        raise ConfigurationError(
            f"the cursor field changed from {state.get('cursor_field')!r} to {name!r};"
            " reset the stream to read it by the new cursor field"
        )
    key = tuple(table.column(key_name) for key_name in table.key if key_name != name)
    is_other_key = state.get("key", list(table.key)) != list(table.key)
    if is_other_key or (state.get("after") and len(state["after"]) != 1 + len(key)):
        raise ConfigurationError(
            "the key of the table changed since the last sync; reset the stream to read it by the new key"
        )
    usable_lookback = lookback if cursor.base_type in TIME_CONDITIONS else 0
    rows = RowColumns.from_state(table, state)
    watermark = Watermark(table, cursor, rows, tuple(state.get("unplaced", ())), form)
    if table.key:
        return CursorPlan(watermark, key, state, usable_lookback)
    return TiedCursorPlan(watermark, table, state, usable_lookback)


def _lookback_condition(cursor: PgColumn, value: str, seconds: int) -> sql.Composable:
    return sql.SQL("{} >= {} - make_interval(secs => {})").format(
        cursor.sql, literal_value(cursor, value), sql.Literal(seconds)
    )


def _where_clause(conditions: Sequence[sql.Composable]) -> sql.Composable:
    if not conditions:
        return sql.SQL("")
    return sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(conditions))


def _order_and_limit(
    where: sql.Composable, order: Sequence[PgColumn], limit: int | None
) -> sql.Composable:
    names = sql.SQL(", ").join(column.sql for column in order)
    return sql.SQL("{} ORDER BY {} {}").format(where, names, _limit(limit))


def _limit(limit: int | None) -> sql.Composable:
    """Return the clause that limits a page. One row more shows whether another page follows."""
    return sql.SQL("") if limit is None else sql.SQL("LIMIT {}").format(sql.Literal(limit + 1))


def _after_condition(order: Sequence[PgColumn], after: Sequence[str]) -> sql.Composable:
    return sql.SQL("{} > {}").format(_column_row(order), _literal_row(order, after))


def _column_row(columns: Sequence[PgColumn]) -> sql.Composable:
    names = sql.SQL(", ").join(column.sql for column in columns)
    return sql.SQL("({})").format(names)


def _literal_row(columns: Sequence[PgColumn], texts: Sequence[str]) -> sql.Composable:
    if len(columns) != len(texts):
        raise PositionGone("the key of the table changed while it was read")
    values = [literal_value(column, text) for column, text in zip(columns, texts, strict=True)]
    return sql.SQL("({})").format(sql.SQL(", ").join(values))
