"""The order in which a table is read, and where each page begins.

A pagination token describes the beginning of a page by the data itself, so a page can be read again:

    {"after": [texts]}  rows after a key, in key order
    {"after": [cursor, key], "ties": []}  rows after a cursor value and key, in that order
    {"after": [cursor], "ties": []}  rows from a cursor value on, except rows with these digests (no key)
    {"place": "(7,0)", "blocks": 100, "file": 1}  rows in a range of the table's file (no key)
    {"offset": 50000}  rows in the order of all their texts (a view: slow but repeatable)

The incremental state has the last cursor value, and the keys (or digests) of the rows with this value. So rows that
get the same cursor value later are read, and no row is read twice. Without a key, rows that are equal in every column
cannot be distinguished, so a duplicate that is added later is not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl
from psycopg import sql

from apps.engine.failures import ConfigurationError, PositionGone
from apps.engine.sources.postgres.columns import ROW_ALIAS, PgColumn
from apps.engine.sources.postgres.tables import Relation

MAX_TIES = 10_000  # keys stored for one cursor value; if there are more, rows are distinguished by key order
# The first page reads 2 MB of the table's file, because the width of its rows is not known yet.
FIRST_PAGE_BLOCKS = 256

TIME_TYPES = frozenset({"timestamptz", "timestamp", "date"})
POSITION_COLUMN = PgColumn("ctid", "tid", "tid", "b", nullable=False)
ROW_DIGEST = sql.SQL("md5(ROW({}.*)::text)").format(
    sql.Identifier(ROW_ALIAS)
)  # of all values of a row

Token = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PageQuery:
    """The part of the query after FROM, and the columns whose texts identify the end of the page."""

    clauses: sql.Composable
    order: tuple[PgColumn, ...] = ()
    can_be_cut: bool = True  # whether the page may end after any row


@dataclass(frozen=True, slots=True)
class PageEnd:
    """The end of a page: its number of rows, their order texts, and whether more rows follow."""

    row_count: int
    order_texts: pl.DataFrame
    has_more: bool
    # Digests of the rows with the last cursor value, if the table has no key.
    tied_digests: tuple[str, ...] = ()

    def last_texts(self) -> list[str]:
        return [str(value) for value in self.order_texts.row(-1)]


class Plan(Protocol):
    """An order in which a table is read."""

    def page_query(self, token: Token, limit: int) -> PageQuery:
        """Return the query for the page at the token.

        It may read one row more than `limit`, which shows whether another page follows.
        """

    def next_token(self, token: Token, limit: int, page_end: PageEnd) -> dict[str, Any]:
        """Return the next page's token, or {} if this was the last page."""


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """Read in the order of a unique key."""

    key: tuple[PgColumn, ...]

    def page_query(self, token: Token, limit: int) -> PageQuery:
        after = token.get("after")
        where = _where_clause([_after_condition(self.key, after)] if after else [])
        return PageQuery(_order_and_limit(where, self.key, limit), self.key)

    def next_token(self, token: Token, limit: int, page_end: PageEnd) -> dict[str, Any]:
        return {"after": page_end.last_texts()} if page_end.has_more else {}


@dataclass(frozen=True, slots=True)
class CursorPlan:
    """Read in the order of a cursor column, then of the key. `state` is the state of the last run."""

    cursor: PgColumn
    key: tuple[PgColumn, ...]
    state: Token
    lookback: int = 0  # seconds

    @property
    def order(self) -> tuple[PgColumn, ...]:
        return (self.cursor, *self.key)

    def page_query(self, token: Token, limit: int) -> PageQuery:
        conditions: list[sql.Composable] = [sql.SQL("{} IS NOT NULL").format(self.cursor.sql)]
        if self.state:
            conditions.append(self._newer_than_state_condition())
        if token.get("after"):
            conditions.append(_after_condition(self.order, token["after"]))
        return PageQuery(_order_and_limit(_where_clause(conditions), self.order, limit), self.order)

    def next_token(self, token: Token, limit: int, page_end: PageEnd) -> dict[str, Any]:
        return self._next_position(token, page_end) if page_end.has_more else {}

    def next_state(self, token: Token, page_end: PageEnd) -> dict[str, Any]:
        if not page_end.row_count:  # The position is still the end of the previous page.
            return {"cursor_field": self.cursor.name, **token} if token else dict(self.state)
        return {"cursor_field": self.cursor.name, **self._next_position(token, page_end)}

    def _newer_than_state_condition(self) -> sql.Composable:
        after, ties = self.state["after"], self.state.get("ties")
        if self.lookback:
            return _lookback_condition(self.cursor, after[0], self.lookback)
        if ties is None:
            return _after_condition(self.order, after)
        value = _literal_value(self.cursor, after[0])
        column = self.cursor.sql
        known_rows = sql.SQL(", ").join(_literal_row(self.key, key) for key in ties)
        return sql.SQL("{c} >= {v} AND NOT ({c} = {v} AND {key} IN ({known_rows}))").format(
            c=column, v=value, key=_column_row(self.key), known_rows=known_rows
        )

    def _next_position(self, token: Token, page_end: PageEnd) -> dict[str, Any]:
        after = page_end.last_texts()
        if not self.key:  # The cursor is the key, so two rows never have the same value.
            return {"after": after, "ties": None}
        names = page_end.order_texts.columns
        tied_keys = page_end.order_texts.filter(pl.col(names[0]) == after[0]).select(names[1:])
        previous = token or self.state
        known_ties: list[list[str]] | None = []
        if previous and previous["after"][0] == after[0]:
            known_ties = previous.get("ties")
        if known_ties is None or len(known_ties) + tied_keys.height > MAX_TIES:
            return {"after": after, "ties": None}
        return {"after": after, "ties": known_ties + [list(row) for row in tied_keys.iter_rows()]}


@dataclass(frozen=True, slots=True)
class TiedCursorPlan:
    """Read a table without a key by a cursor column. All rows with the same cursor value are in the same page."""

    cursor: PgColumn
    state: Token
    lookback: int = 0  # seconds

    def page_query(self, token: Token, limit: int) -> PageQuery:
        conditions: list[sql.Composable] = [sql.SQL("{} IS NOT NULL").format(self.cursor.sql)]
        if token:
            conditions.append(self._newer_condition(token))
        elif self.state and self.lookback:
            conditions.append(
                _lookback_condition(self.cursor, self.state["after"][0], self.lookback)
            )
        elif self.state:
            conditions.append(self._newer_condition(self.state))
        clauses = sql.SQL("{} ORDER BY {} FETCH FIRST {} ROWS WITH TIES").format(
            _where_clause(conditions), self.cursor.sql, sql.Literal(limit)
        )
        return PageQuery(clauses, (self.cursor,), can_be_cut=False)

    def digest_query(self, table: sql.Composable, value: str) -> sql.Composed:
        """Return the query for the digests of the rows with a cursor value. It returns at most MAX_TIES + 1 digests."""
        return sql.SQL("SELECT {} FROM {} AS {} WHERE {} = {} LIMIT {}").format(
            *(ROW_DIGEST, table, sql.Identifier(ROW_ALIAS), self.cursor.sql),
            *(_literal_value(self.cursor, value), sql.Literal(MAX_TIES + 1)),
        )

    def next_token(self, token: Token, limit: int, page_end: PageEnd) -> dict[str, Any]:
        return self._next_position(page_end) if page_end.row_count >= limit else {}

    def next_state(self, token: Token, page_end: PageEnd) -> dict[str, Any]:
        if page_end.row_count:
            return {"cursor_field": self.cursor.name, **self._next_position(page_end)}
        return {"cursor_field": self.cursor.name, **token} if token else dict(self.state)

    def _next_position(self, page_end: PageEnd) -> dict[str, Any]:
        can_be_stored = len(page_end.tied_digests) <= MAX_TIES
        ties = list(page_end.tied_digests) if can_be_stored else None
        return {"after": page_end.last_texts(), "ties": ties}

    def _newer_condition(self, position: Token) -> sql.Composable:
        after, ties = position["after"], position.get("ties")
        if not ties:
            return _after_condition((self.cursor,), after)
        known_rows = sql.SQL(", ").join(map(sql.Literal, ties))
        return sql.SQL("{c} >= {v} AND NOT ({c} = {v} AND {digest} IN ({known_rows}))").format(
            c=self.cursor.sql,
            v=_literal_value(self.cursor, after[0]),
            digest=ROW_DIGEST,
            known_rows=known_rows,
        )


@dataclass(frozen=True, slots=True)
class PositionPlan:
    """Read a table without a key by the physical position of its rows in the table's file.

    The same token returns the same rows, unless they were updated or moved in the meantime. If the whole file was
    rewritten, the token is refused.
    """

    filenode: int
    block_count: int

    def page_query(self, token: Token, limit: int) -> PageQuery:
        if token and token["file"] != self.filenode:
            raise PositionGone(
                "the table was rewritten while it was read and has no key; reset the stream to start from the beginning"
            )
        condition = sql.SQL(
            "WHERE {place} > {first}::tid AND {place} < {end}::tid ORDER BY {place}"
        )
        end = f"({_first_block(token) + _block_count(token)},0)"
        first = token.get("place", "(0,0)")
        return PageQuery(
            condition.format(place=POSITION_COLUMN.sql, first=first, end=end), (POSITION_COLUMN,)
        )

    def next_token(self, token: Token, limit: int, page_end: PageEnd) -> dict[str, Any]:
        blocks = _block_count(token)
        if page_end.has_more:
            return {
                "place": page_end.last_texts()[0],
                "blocks": max(1, blocks // 2),
                "file": self.filenode,
            }
        end = _first_block(token) + blocks
        if end >= self.block_count:
            return {}
        rows_per_block = max(page_end.row_count / blocks, 0.1)
        next_blocks = max(1, min(int(limit / rows_per_block), blocks * 4))
        return {"place": f"({end},0)", "blocks": next_blocks, "file": self.filenode}


@dataclass(frozen=True, slots=True)
class TextPlan:
    """Read a relation in the order of all columns as text, if it has neither a key nor physical positions.

    All rows are sorted for each page.
    """

    columns: tuple[PgColumn, ...]

    def page_query(self, token: Token, limit: int) -> PageQuery:
        texts = [sql.SQL('{}::text COLLATE "C"').format(column.sql) for column in self.columns]
        clauses = sql.SQL("ORDER BY {} OFFSET {} LIMIT {}").format(
            sql.SQL(", ").join(texts),
            sql.Literal(int(token.get("offset", 0))),
            sql.Literal(limit + 1),
        )
        return PageQuery(clauses)

    def next_token(self, token: Token, limit: int, page_end: PageEnd) -> dict[str, Any]:
        return (
            {"offset": int(token.get("offset", 0)) + page_end.row_count}
            if page_end.has_more
            else {}
        )


def make_cursor_plan(
    table: Relation, name: str, state: Token, lookback: int = 0
) -> CursorPlan | TiedCursorPlan:
    """Return the order for reading a table by its cursor field.

    `lookback` is in seconds, and applies to cursor fields that are times. Raises ConfigurationError if the cursor
    field or the key has changed since `state` was stored.
    """
    cursor = table.column(name)
    if state and state.get("cursor_field") != name:
        raise ConfigurationError(
            f"the cursor field changed from {state.get('cursor_field')!r} to {name!r};"
            " reset the stream to read it by the new cursor field"
        )
    key = tuple(table.column(key_name) for key_name in table.key if key_name != name)
    if state and len(state["after"]) != 1 + len(key):
        raise ConfigurationError(
            "the key of the table changed since the last sync; reset the stream to read it by the new key"
        )
    usable_lookback = lookback if cursor.base_type in TIME_TYPES else 0
    if table.key:
        return CursorPlan(cursor, key, state, usable_lookback)
    return TiedCursorPlan(cursor, state, usable_lookback)


def _lookback_condition(cursor: PgColumn, value: str, seconds: int) -> sql.Composable:
    return sql.SQL("{} >= {} - make_interval(secs => {})").format(
        cursor.sql, _literal_value(cursor, value), sql.Literal(seconds)
    )


def _first_block(token: Token) -> int:
    return int(str(token.get("place", "(0,0)"))[1:].partition(",")[0])


def _block_count(token: Token) -> int:
    return int(token.get("blocks", FIRST_PAGE_BLOCKS))


def _where_clause(conditions: Sequence[sql.Composable]) -> sql.Composable:
    if not conditions:
        return sql.SQL("")
    return sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(conditions))


def _order_and_limit(
    where: sql.Composable, order: Sequence[PgColumn], limit: int
) -> sql.Composable:
    names = sql.SQL(", ").join(column.sql for column in order)
    return sql.SQL("{} ORDER BY {} LIMIT {}").format(where, names, sql.Literal(limit + 1))


def _after_condition(order: Sequence[PgColumn], after: Sequence[str]) -> sql.Composable:
    return sql.SQL("{} > {}").format(_column_row(order), _literal_row(order, after))


def _column_row(columns: Sequence[PgColumn]) -> sql.Composable:
    names = sql.SQL(", ").join(column.sql for column in columns)
    return sql.SQL("({})").format(names)


def _literal_row(columns: Sequence[PgColumn], texts: Sequence[str]) -> sql.Composable:
    if len(columns) != len(texts):
        raise PositionGone(
            "the key of the table changed while it was read; reset the stream to start from the beginning"
        )
    values = [_literal_value(column, text) for column, text in zip(columns, texts, strict=True)]
    return sql.SQL("({})").format(sql.SQL(", ").join(values))


def _literal_value(column: PgColumn, text: str) -> sql.Composable:
    # The type's name comes from the server's own format_type(), which quotes it.
    return sql.SQL("CAST({} AS {})").format(sql.Literal(text), _type_name(column))


def _type_name(column: PgColumn) -> sql.Composable:
    return sql.SQL(column.type)
