"""The order in which a table is read, and where each page begins.

A pagination token describes the beginning of a page by the data itself, so a page can be read again:

    {"after": [texts]}  rows after a key, in key order
    {"after": [cursor, key], "ties": []}  rows after a cursor value and key, in that order
    {"after": [cursor], "ties": []}  rows from a cursor value on, except those with these digests (no key)
    {"place": "(7,0)", "blocks": 100, "file": 1}  rows in a range of the table's file (no key)
    {"offset": 50000}  rows in the order of all their texts (a view: slow but repeatable)

The incremental state has the last cursor value and the keys (or digests) of the rows with it, so rows that
arrive later with the same cursor value are read, and none is read twice. Without a key, rows that are equal in
every column cannot be distinguished: a duplicate that arrives later is not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl
from psycopg import sql

from apps.engine.failures import ConfigurationError, PositionGone
from apps.engine.sources.postgres.columns import ROW, PgColumn
from apps.engine.sources.postgres.tables import Relation

MAX_TIES = 10_000  # keys kept for one cursor value; beyond it, rows are distinguished by key order
FIRST_BLOCKS = 256  # 2 MB of the table's file, until the width of its rows is known

TIMES = frozenset({"timestamptz", "timestamp", "date"})
PLACE = PgColumn("ctid", "tid", "tid", "b", nullable=False)
DIGEST = sql.SQL("md5(ROW({}.*)::text)").format(sql.Identifier(ROW))  # of all values of a row

Token = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of the query after FROM, and the columns whose texts tell where the page ended."""

    clauses: sql.Composable
    order: tuple[PgColumn, ...] = ()
    divisible: bool = True  # whether the page may be cut short after any row


@dataclass(frozen=True, slots=True)
class Reached:
    """The end of a page: its number of rows, their order texts, and whether it was cut short."""

    rows: int
    order: pl.DataFrame
    more: bool
    border: tuple[
        str, ...
    ] = ()  # digests of the rows with the last cursor value, if there is no key

    def last(self) -> list[str]:
        return [str(value) for value in self.order.row(-1)]


class Plan(Protocol):
    """An order of reading."""

    def slice(self, token: Token, limit: int) -> Slice:
        """Select the rows of the page at the token: about `limit` rows, plus one to see whether more follow."""

    def following(self, token: Token, limit: int, reached: Reached) -> dict[str, Any]:
        """Return the next page's token, {} if this was the last page."""


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """Read in the order of a unique key."""

    key: tuple[PgColumn, ...]

    def slice(self, token: Token, limit: int) -> Slice:
        after = token.get("after")
        where = _where([_beyond(self.key, after)] if after else [])
        return Slice(_ordered(where, self.key, limit), self.key)

    def following(self, token: Token, limit: int, reached: Reached) -> dict[str, Any]:
        return {"after": reached.last()} if reached.more else {}


@dataclass(frozen=True, slots=True)
class CursorPlan:
    """Read in the order of a cursor column, then of the key; `state` is the last run's."""

    cursor: PgColumn
    key: tuple[PgColumn, ...]
    state: Token
    lookback: int = 0  # seconds

    @property
    def order(self) -> tuple[PgColumn, ...]:
        return (self.cursor, *self.key)

    def slice(self, token: Token, limit: int) -> Slice:
        conditions: list[sql.Composable] = [sql.SQL("{} IS NOT NULL").format(self.cursor.sql)]
        if self.state:
            conditions.append(self._new_since_state())
        if token.get("after"):
            conditions.append(_beyond(self.order, token["after"]))
        return Slice(_ordered(_where(conditions), self.order, limit), self.order)

    def following(self, token: Token, limit: int, reached: Reached) -> dict[str, Any]:
        return self._position(token, reached) if reached.more else {}

    def next_state(self, token: Token, reached: Reached) -> dict[str, Any]:
        if (
            not reached.rows
        ):  # where the previous page ended, even if its rows have been deleted since
            return {"cursor_field": self.cursor.name, **token} if token else dict(self.state)
        return {"cursor_field": self.cursor.name, **self._position(token, reached)}

    def _new_since_state(self) -> sql.Composable:
        after, ties = self.state["after"], self.state.get("ties")
        if self.lookback:
            return _going_back(self.cursor, after[0], self.lookback)
        if ties is None:
            return _beyond(self.order, after)
        value = _literal(self.cursor, after[0])
        column = self.cursor.sql
        seen = sql.SQL(", ").join(_row_of_literals(self.key, key) for key in ties)
        return sql.SQL("{c} >= {v} AND NOT ({c} = {v} AND {key} IN ({seen}))").format(
            c=column, v=value, key=_row(self.key), seen=seen
        )

    def _position(self, token: Token, reached: Reached) -> dict[str, Any]:
        after = reached.last()
        if not self.key:  # The cursor is the key, so no two rows have the same value.
            return {"after": after, "ties": None}
        names = reached.order.columns
        tied = reached.order.filter(pl.col(names[0]) == after[0]).select(names[1:])
        before = token or self.state
        known: list[list[str]] | None = []
        if before and before["after"][0] == after[0]:
            known = before.get("ties")
        if known is None or len(known) + tied.height > MAX_TIES:
            return {"after": after, "ties": None}
        return {"after": after, "ties": known + [list(row) for row in tied.iter_rows()]}


@dataclass(frozen=True, slots=True)
class TiedCursorPlan:
    """Read by a cursor column a table without a key: all rows of one cursor value are in the same page."""

    cursor: PgColumn
    state: Token
    lookback: int = 0  # seconds

    def slice(self, token: Token, limit: int) -> Slice:
        conditions: list[sql.Composable] = [sql.SQL("{} IS NOT NULL").format(self.cursor.sql)]
        if token:
            conditions.append(self._new_since(token))
        elif self.state and self.lookback:
            conditions.append(_going_back(self.cursor, self.state["after"][0], self.lookback))
        elif self.state:
            conditions.append(self._new_since(self.state))
        clauses = sql.SQL("{} ORDER BY {} FETCH FIRST {} ROWS WITH TIES").format(
            _where(conditions), self.cursor.sql, sql.Literal(limit)
        )
        return Slice(clauses, (self.cursor,), divisible=False)

    def border(self, table: sql.Composable, value: str) -> sql.Composed:
        """The query for the digests of the rows with this cursor value, limited to one more than are kept."""
        return sql.SQL("SELECT {} FROM {} AS {} WHERE {} = {} LIMIT {}").format(
            *(DIGEST, table, sql.Identifier(ROW), self.cursor.sql),
            *(_literal(self.cursor, value), sql.Literal(MAX_TIES + 1)),
        )

    def following(self, token: Token, limit: int, reached: Reached) -> dict[str, Any]:
        return self._position(reached) if reached.rows >= limit else {}

    def next_state(self, token: Token, reached: Reached) -> dict[str, Any]:
        if reached.rows:
            return {"cursor_field": self.cursor.name, **self._position(reached)}
        return {"cursor_field": self.cursor.name, **token} if token else dict(self.state)

    def _position(self, reached: Reached) -> dict[str, Any]:
        known = len(reached.border) <= MAX_TIES
        return {"after": reached.last(), "ties": list(reached.border) if known else None}

    def _new_since(self, before: Token) -> sql.Composable:
        after, ties = before["after"], before.get("ties")
        if not ties:
            return _beyond((self.cursor,), after)
        seen = sql.SQL(", ").join(map(sql.Literal, ties))
        return sql.SQL("{c} >= {v} AND NOT ({c} = {v} AND {digest} IN ({seen}))").format(
            c=self.cursor.sql, v=_literal(self.cursor, after[0]), digest=DIGEST, seen=seen
        )


@dataclass(frozen=True, slots=True)
class PlacePlan:
    """Read a table without a key by the physical position of its rows in the table's file.

    The same token returns the same rows unless they were updated or moved meanwhile. If the whole file was
    rewritten, the token is refused.
    """

    file: int
    size: int  # blocks

    def slice(self, token: Token, limit: int) -> Slice:
        if token and token["file"] != self.file:
            raise PositionGone(
                "the table was rewritten while it was read and has no key; reset the stream to start from the beginning"
            )
        bounds = sql.SQL("WHERE {place} > {first}::tid AND {place} < {end}::tid ORDER BY {place}")
        end = f"({_block(token) + _blocks(token)},0)"
        first = token.get("place", "(0,0)")
        return Slice(bounds.format(place=PLACE.sql, first=first, end=end), (PLACE,))

    def following(self, token: Token, limit: int, reached: Reached) -> dict[str, Any]:
        blocks = _blocks(token)
        if reached.more:
            place = reached.last()[0]
            return {"place": place, "blocks": max(1, blocks // 2), "file": self.file}
        end = _block(token) + blocks
        if end >= self.size:
            return {}
        per_block = max(reached.rows / blocks, 0.1)
        fitting = max(1, min(int(limit / per_block), blocks * 4))
        return {"place": f"({end},0)", "blocks": fitting, "file": self.file}


@dataclass(frozen=True, slots=True)
class TextPlan:
    """Read a relation that has neither key nor physical positions in the order of all columns as text.

    Each page sorts all rows.
    """

    columns: tuple[PgColumn, ...]

    def slice(self, token: Token, limit: int) -> Slice:
        texts = [sql.SQL('{}::text COLLATE "C"').format(column.sql) for column in self.columns]
        clauses = sql.SQL("ORDER BY {} OFFSET {} LIMIT {}").format(
            sql.SQL(", ").join(texts),
            sql.Literal(int(token.get("offset", 0))),
            sql.Literal(limit + 1),
        )
        return Slice(clauses)

    def following(self, token: Token, limit: int, reached: Reached) -> dict[str, Any]:
        return {"offset": int(token.get("offset", 0)) + reached.rows} if reached.more else {}


def cursor_plan(
    table: Relation, name: str, state: Token, lookback: int = 0
) -> CursorPlan | TiedCursorPlan:
    """Return the order for reading a table by its cursor field.

    Raises ConfigurationError if that or the key has changed.
    `lookback` is in seconds, and applies to cursors that are times.
    """
    cursor = table.column(name)
    if state and state.get("cursor_field") != name:
        raise ConfigurationError(
            f"the cursor field changed from {state.get('cursor_field')!r} to {name!r};"
            " reset the stream to read it by the new one"
        )
    key = tuple(table.column(each) for each in table.key if each != name)
    if state and len(state["after"]) != 1 + len(key):
        raise ConfigurationError(
            "the key of the table changed since the last sync; reset the stream to read it by the new one"
        )
    back = lookback if cursor.base in TIMES else 0
    if table.key:
        return CursorPlan(cursor, key, state, back)
    return TiedCursorPlan(cursor, state, back)


def _going_back(cursor: PgColumn, value: str, seconds: int) -> sql.Composable:
    return sql.SQL("{} >= {} - make_interval(secs => {})").format(
        cursor.sql, _literal(cursor, value), sql.Literal(seconds)
    )


def _block(token: Token) -> int:
    return int(str(token.get("place", "(0,0)"))[1:].partition(",")[0])


def _blocks(token: Token) -> int:
    return int(token.get("blocks", FIRST_BLOCKS))


def _where(conditions: Sequence[sql.Composable]) -> sql.Composable:
    if not conditions:
        return sql.SQL("")
    return sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(conditions))


def _ordered(where: sql.Composable, order: Sequence[PgColumn], limit: int) -> sql.Composable:
    names = sql.SQL(", ").join(column.sql for column in order)
    return sql.SQL("{} ORDER BY {} LIMIT {}").format(where, names, sql.Literal(limit + 1))


def _beyond(order: Sequence[PgColumn], after: Sequence[str]) -> sql.Composable:
    return sql.SQL("{} > {}").format(_row(order), _row_of_literals(order, after))


def _row(columns: Sequence[PgColumn]) -> sql.Composable:
    names = sql.SQL(", ").join(column.sql for column in columns)
    return sql.SQL("({})").format(names)


def _row_of_literals(columns: Sequence[PgColumn], texts: Sequence[str]) -> sql.Composable:
    if len(columns) != len(texts):
        raise PositionGone(
            "the key of the table changed while it was read; reset the stream to start from the beginning"
        )
    values = [_literal(column, text) for column, text in zip(columns, texts, strict=True)]
    return sql.SQL("({})").format(sql.SQL(", ").join(values))


def _literal(column: PgColumn, text: str) -> sql.Composable:
    # The type's name comes from the server's own format_type(), which quotes it.
    return sql.SQL("CAST({} AS {})").format(sql.Literal(text), _type(column))


def _type(column: PgColumn) -> sql.Composable:
    return sql.SQL(column.type)
