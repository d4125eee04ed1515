"""Read a PostgreSQL table page by page, as typed frames."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from bizon.source.models import SourceIncrementalState
from loguru import logger
from psycopg import sql

from apps.engine.contract import CheckStep, StreamInfo
from apps.engine.failures import SourceError
from apps.engine.postgres import Connection
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    checked,
    frame_page,
)
from apps.engine.sources.http import reach
from apps.engine.sources.postgres.columns import ROW, decoded, order_texts
from apps.engine.sources.postgres.config import Config
from apps.engine.sources.postgres.connection import connect, reading
from apps.engine.sources.postgres.copying import copy_lines
from apps.engine.sources.postgres.pages import (
    MAX_TIES,
    CursorPlan,
    KeyPlan,
    PlacePlan,
    Plan,
    Reached,
    Slice,
    TextPlan,
    TiedCursorPlan,
    cursor_plan,
)
from apps.engine.sources.postgres.tables import Cursor, Relation, relation, relations, row_estimate

MAX_PAGE_BYTES = 32 << 20  # bytes of CSV; pages of wide rows have fewer rows


class PostgresSource(ConnectorSource[Config]):
    Config: ClassVar[type[Config]] = Config
    incremental: ClassVar[bool] = True
    needs_cursor: ClassVar[bool] = True

    @property
    def repeats(self) -> bool:
        return self.spec.sync_mode == "incremental" and self.settings.lookback_seconds > 0

    _connection: Connection | None = None
    _relation: Relation | None = None

    def check(self) -> Iterator[CheckStep]:
        host, port, timeout = (
            self.settings.host,
            self.settings.port,
            self.settings.connect_timeout,
        )
        private = self.allow_private_networks
        return checked(
            [
                ("resolve", lambda: reach.resolve(host, port, allow_private=private)),
                (
                    "connect",
                    lambda: reach.connect(host, port, allow_private=private, timeout=timeout),
                ),
                ("authenticate", self._check_authenticate),
                ("read", self._check_read),
            ]
        )

    def discover(self) -> list[StreamInfo]:
        with reading(self._connected(), self.settings) as cursor:
            return [each.info for each in relations(cursor, self.settings.schemas)]

    def get_total_records_count(self) -> int | None:
        with reading(self._connected(), self.settings) as cursor:
            return row_estimate(cursor, self._table(cursor))

    def get(self, pagination: Pagination = None) -> SourcePage:
        return self._page(pagination or {}, {})

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._page(pagination or {}, source_state.state)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        super().close()

    def _page(self, token: Mapping[str, Any], state: Mapping[str, Any]) -> SourcePage:
        limit = min(self.settings.page_size, self.page_limit or self.settings.page_size)
        with reading(self._connected(), self.settings) as cursor:
            table = self._table(cursor)
            plan = self._plan(cursor, table, state)
            if not token and isinstance(plan, CursorPlan | TiedCursorPlan):
                _warn_of_nulls(cursor, table, plan)
            cut = plan.slice(token, limit)
            room = MAX_PAGE_BYTES if cut.divisible else sys.maxsize
            copied = copy_lines(cursor, _query(table, cut), room)
            rows = min(copied.rows, limit) if cut.divisible else copied.rows
            read = decoded(copied.body, table.columns, cut.order)
            reached = Reached(rows, read.order.head(rows), more=copied.cut or rows < copied.rows)
            if isinstance(plan, TiedCursorPlan) and rows:
                reached = replace(reached, border=_border(cursor, table, plan, reached))
        following = plan.following(token, limit, reached)
        next_state = None
        if not following and isinstance(plan, CursorPlan | TiedCursorPlan):
            next_state = plan.next_state(token, reached)
            _warn_of_ties(table, plan, next_state)
        return frame_page(read.frame.head(rows), following, next_state)

    def _plan(self, cursor: Cursor, table: Relation, state: Mapping[str, Any]) -> Plan:
        if self.spec.sync_mode == "incremental" and self.spec.cursor_field:
            back = self.settings.lookback_seconds
            return cursor_plan(table, self.spec.cursor_field, state, back)
        if table.key:
            return KeyPlan(tuple(table.column(name) for name in table.key))
        if table.has_places:
            return _place_plan(cursor, table)
        return TextPlan(table.columns)

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.settings, allow_private=self.allow_private_networks)
        return self._connection

    def _table(self, cursor: Cursor) -> Relation:
        if self._relation is None:
            self._relation = relation(cursor, self.settings.schemas, self.spec.stream)
        return self._relation

    def _check_authenticate(self) -> str:
        version = self._connected().info.server_version
        return f"PostgreSQL {version // 10_000} accepts the user {self.settings.user!r}"

    def _check_read(self) -> str:
        with reading(self._connected(), self.settings) as cursor:
            found = relations(cursor, self.settings.schemas)
        if not found:
            raise SourceError("the user may not read any table or view")
        return f"{len(found)} tables and views to read"


def _query(table: Relation, cut: Slice) -> sql.Composed:
    columns = [column.expression for column in table.columns]
    columns += [sql.SQL("{}::text").format(column.sql) for column in order_texts(cut.order)]
    query = sql.SQL("SELECT {} FROM {} AS {} {}").format(
        sql.SQL(", ").join(columns), table.sql, sql.Identifier(ROW), cut.clauses
    )
    return sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)


def _border(
    cursor: Cursor, table: Relation, plan: TiedCursorPlan, reached: Reached
) -> tuple[str, ...]:
    """Run in the page's transaction and snapshot, so that no unread row counts as read."""
    rows = cursor.execute(plan.border(table.sql, reached.last()[0])).fetchall()
    return tuple(digest for (digest,) in rows)


def _place_plan(cursor: Cursor, table: Relation) -> PlacePlan:
    query = (
        "SELECT pg_relation_filenode(%(oid)s::oid)::bigint,"
        " pg_relation_size(%(oid)s::oid) / current_setting('block_size')::bigint"
    )
    found = cursor.execute(query, {"oid": table.oid}).fetchone()
    file, size = found if found else (0, 0)
    return PlacePlan(int(file or 0), int(size or 0))


def _warn_of_nulls(cursor: Cursor, table: Relation, plan: CursorPlan | TiedCursorPlan) -> None:
    if not plan.cursor.nullable:
        return
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} IS NULL)").format(
        table.sql, sql.Identifier(plan.cursor.name)
    )
    found = cursor.execute(query).fetchone()
    if found and found[0]:
        logger.warning(
            "Rows of {} with a null cursor field {} are not read",
            table.stream,
            plan.cursor.name,
        )


def _warn_of_ties(
    table: Relation, plan: CursorPlan | TiedCursorPlan, state: Mapping[str, Any]
) -> None:
    unique = isinstance(plan, CursorPlan) and not plan.key
    if unique or state.get("ties", ()) is not None:
        return
    logger.warning(
        "More than {:,} rows of {} share the newest value of {}: of those that get it later some may not"
        " be read. A finer cursor field avoids that.",
        *(MAX_TIES, table.stream, plan.cursor.name),
    )
