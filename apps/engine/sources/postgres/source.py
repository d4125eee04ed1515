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
    frame_page,
    run_checks,
)
from apps.engine.sources.http import host_checks
from apps.engine.sources.postgres.columns import ROW_ALIAS, decode_rows, order_text_columns
from apps.engine.sources.postgres.config import Config
from apps.engine.sources.postgres.connection import connect, read_transaction
from apps.engine.sources.postgres.copying import copy_lines
from apps.engine.sources.postgres.pages import (
    MAX_TIES,
    CursorPlan,
    KeyPlan,
    PageEnd,
    PageQuery,
    Plan,
    PositionPlan,
    TextPlan,
    TiedCursorPlan,
    make_cursor_plan,
)
from apps.engine.sources.postgres.tables import (
    Cursor,
    Relation,
    estimate_rows,
    find_relation,
    find_relations,
)

MAX_PAGE_BYTES = 32 << 20  # bytes of CSV; a page of wide rows has fewer rows


class PostgresSource(ConnectorSource[Config]):
    Config: ClassVar[type[Config]] = Config
    incremental: ClassVar[bool] = True
    needs_cursor: ClassVar[bool] = True
    size_basis: ClassVar[str] = "counted by the database, or estimated by its statistics"

    @property
    def may_repeat_rows(self) -> bool:
        return self.spec.sync_mode == "incremental" and self.settings.lookback_seconds > 0

    _connection: Connection | None = None
    _relation: Relation | None = None

    def check(self) -> Iterator[CheckStep]:
        host, port, timeout = (
            self.settings.host,
            self.settings.port,
            self.settings.connect_timeout,
        )
        allow_private = self.allow_private_networks
        return run_checks(
            [
                (
                    "resolve",
                    lambda: host_checks.resolve_host(host, port, allow_private=allow_private),
                ),
                (
                    "connect",
                    lambda: host_checks.open_connection(
                        host, port, allow_private=allow_private, timeout=timeout
                    ),
                ),
                ("authenticate", self._check_authenticate),
                ("read", self._check_read),
            ]
        )

    def discover(self) -> list[StreamInfo]:
        with read_transaction(self._open_connection(), self.settings) as cursor:
            return [table.stream_info for table in find_relations(cursor, self.settings.schemas)]

    def get_total_records_count(self) -> int | None:
        with read_transaction(self._open_connection(), self.settings) as cursor:
            return estimate_rows(cursor, self._find_table(cursor))

    @property
    def records_per_request(self) -> int:
        return self.settings.page_size

    def get(self, pagination: Pagination = None) -> SourcePage:
        return self._read_page(pagination or {}, {})

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._read_page(pagination or {}, source_state.state)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        super().close()

    def _read_page(self, token: Mapping[str, Any], state: Mapping[str, Any]) -> SourcePage:
        limit = min(self.settings.page_size, self.page_limit or self.settings.page_size)
        with read_transaction(self._open_connection(), self.settings) as cursor:
            table = self._find_table(cursor)
            plan = self._make_plan(cursor, table, state)
            if not token and isinstance(plan, CursorPlan | TiedCursorPlan):
                _warn_about_nulls(cursor, table, plan)
            query = plan.page_query(token, limit)
            max_bytes = MAX_PAGE_BYTES if query.can_be_cut else sys.maxsize
            copied_lines = copy_lines(cursor, _copy_query(table, query), max_bytes)
            row_count = copied_lines.row_count
            if query.can_be_cut:
                row_count = min(row_count, limit)
            decoded_rows = decode_rows(copied_lines.body, table.columns, query.order)
            has_more = copied_lines.is_cut or row_count < copied_lines.row_count
            page_end = PageEnd(
                row_count, decoded_rows.order_texts.head(row_count), has_more=has_more
            )
            if isinstance(plan, TiedCursorPlan) and row_count:
                digests = _tied_digests(cursor, table, plan, page_end)
                page_end = replace(page_end, tied_digests=digests)
        next_token = plan.next_token(token, limit, page_end)
        next_state = None
        if not next_token and isinstance(plan, CursorPlan | TiedCursorPlan):
            next_state = plan.next_state(token, page_end)
            _warn_about_ties(table, plan, next_state)
        return frame_page(decoded_rows.frame.head(row_count), next_token, next_state)

    def _make_plan(self, cursor: Cursor, table: Relation, state: Mapping[str, Any]) -> Plan:
        if self.spec.sync_mode == "incremental" and self.spec.cursor_field:
            lookback = self.settings.lookback_seconds
            return make_cursor_plan(table, self.spec.cursor_field, state, lookback)
        if table.key:
            return KeyPlan(tuple(table.column(name) for name in table.key))
        if table.has_positions:
            return _make_position_plan(cursor, table)
        return TextPlan(table.columns)

    def _open_connection(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.settings, allow_private=self.allow_private_networks)
        return self._connection

    def _find_table(self, cursor: Cursor) -> Relation:
        if self._relation is None:
            self._relation = find_relation(cursor, self.settings.schemas, self.spec.stream)
        return self._relation

    def _check_authenticate(self) -> str:
        version = self._open_connection().info.server_version
        return f"PostgreSQL {version // 10_000} accepts the user {self.settings.user!r}"

    def _check_read(self) -> str:
        with read_transaction(self._open_connection(), self.settings) as cursor:
            tables = find_relations(cursor, self.settings.schemas)
        if not tables:
            raise SourceError("the user may not read any table or view")
        return f"{len(tables)} tables and views to read"


def _copy_query(table: Relation, page_query: PageQuery) -> sql.Composed:
    columns = [column.expression for column in table.columns]
    columns += [
        sql.SQL("{}::text").format(column.sql) for column in order_text_columns(page_query.order)
    ]
    query = sql.SQL("SELECT {} FROM {} AS {} {}").format(
        sql.SQL(", ").join(columns), table.sql, sql.Identifier(ROW_ALIAS), page_query.clauses
    )
    return sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)


def _tied_digests(
    cursor: Cursor, table: Relation, plan: TiedCursorPlan, page_end: PageEnd
) -> tuple[str, ...]:
    """Return the digests of the rows with the last cursor value.

    The query runs in the page's transaction and snapshot, so a row that was not read is not returned.
    """
    rows = cursor.execute(plan.digest_query(table.sql, page_end.last_texts()[0])).fetchall()
    return tuple(digest for (digest,) in rows)


def _make_position_plan(cursor: Cursor, table: Relation) -> PositionPlan:
    query = (
        "SELECT pg_relation_filenode(%(oid)s::oid)::bigint,"
        " pg_relation_size(%(oid)s::oid) / current_setting('block_size')::bigint"
    )
    row = cursor.execute(query, {"oid": table.oid}).fetchone()
    filenode, block_count = row if row else (0, 0)
    return PositionPlan(int(filenode or 0), int(block_count or 0))


def _warn_about_nulls(cursor: Cursor, table: Relation, plan: CursorPlan | TiedCursorPlan) -> None:
    if not plan.cursor.nullable:
        return
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} IS NULL)").format(
        table.sql, sql.Identifier(plan.cursor.name)
    )
    row = cursor.execute(query).fetchone()
    if row and row[0]:
        logger.warning(
            "Rows of {} with a null cursor field {} are not read",
            table.stream_name,
            plan.cursor.name,
        )


def _warn_about_ties(
    table: Relation, plan: CursorPlan | TiedCursorPlan, state: Mapping[str, Any]
) -> None:
    is_unique = isinstance(plan, CursorPlan) and not plan.key
    if is_unique or state.get("ties", ()) is not None:
        return
    logger.warning(
        "More than {:,} rows of {} have the newest value of {}. Rows that get this value later may not be read."
        " Choose a cursor field whose values are more precise.",
        *(MAX_TIES, table.stream_name, plan.cursor.name),
    )
