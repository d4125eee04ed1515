"""Read a PostgreSQL table as typed frames, in one snapshot or page by page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import psycopg
from bizon.source.models import SourceIncrementalState
from loguru import logger

from apps.engine.contract import CheckStep, StreamInfo
from apps.engine.failures import EngineError, PositionGone, SourceError
from apps.engine.kept_connections import FORGET_SESSION, kept_connections
from apps.engine.postgres import Connection, Cursor
from apps.engine.shared_snapshots import HeldSnapshot
from apps.engine.source_columns import SourceColumns
from apps.engine.sources.connector import ConnectorSource, Pagination, SourcePage, run_checks
from apps.engine.sources.http import host_checks
from apps.engine.sources.postgres.bulk import BulkConnection, BulkUnusable
from apps.engine.sources.postgres.config import Config
from apps.engine.sources.postgres.connection import connect, converting_errors, read_transaction
from apps.engine.sources.postgres.files import (
    DescribedTable,
    LockedTable,
    NotLocked,
    TableFiles,
    lock_described,
    lock_table,
    table_replaced,
)
from apps.engine.sources.postgres.native import TypeChoice
from apps.engine.sources.postgres.numerics import Scales, find_scales
from apps.engine.sources.postgres.pages import (
    IncrementalPlan,
    KeyPlan,
    Plan,
    Token,
    WholePlan,
    make_cursor_plan,
)
from apps.engine.sources.postgres.passing import Passing
from apps.engine.sources.postgres.reading import MAX_PAGE_BYTES, RequestedPage, TableReader
from apps.engine.sources.postgres.shared_snapshot import hold_snapshot
from apps.engine.sources.postgres.tables import (
    Relation,
    find_relation,
    find_relations,
    read_facts,
)
from apps.engine.sources.postgres.text_cursors import TYPES_WITH_FORM, find_form
from apps.engine.sources.postgres.watermarks import find_unit
from apps.engine.sources.postgres.whole import (
    SHORT_READ,
    SnapshotRead,
    is_read_whole,
    require_snapshot,
)
from apps.engine.sources.postgres.windows import count_rows, make_window_plan, plan_window
from apps.engine.windows import WindowPlan, WindowRequest
from apps.json import JsonObject

# Tables from this size on are read through a second connection, if the pages are not smaller than this.
BULK_BYTES = 8 << 20
BULK_PAGE_ROWS = 5_000


class PostgresSource(ConnectorSource[Config]):
    """Reads a table or view as typed frames, whose columns have the types of the database."""

    Config: ClassVar[type[Config]] = Config
    incremental: ClassVar[bool] = True
    needs_cursor: ClassVar[bool] = True
    shares_snapshots: ClassVar[bool] = True
    has_typed_columns: ClassVar[bool] = True
    size_basis: ClassVar[str] = "counted by the database, or estimated by its statistics"

    _connection: Connection | None = None
    _table: Relation | None = None
    _counted: Relation | None = None  # as it was when its rows were counted
    _begun: tuple[ExitStack, LockedTable] | None = None  # the transaction that has counted them
    _files: TableFiles | None = None  # of the last page that was read
    _snapshot: SnapshotRead | None = None
    _transaction: ExitStack  # of the snapshot
    _bulk: BulkConnection | None = None
    _row_bytes = 1.0  # of the last page of a key, on average
    # The token of the next page, and the page, which was requested before anybody has asked for it.
    _ahead: tuple[Token, RequestedPage] | None = None
    _may_use_bulk: bool | None = None  # None if it is not decided
    _logged = False  # whether the log says how the stream is read

    @property
    def may_repeat_rows(self) -> bool:
        return self.spec.sync_mode == "incremental" and self.settings.lookback_seconds > 0

    def check(self) -> Iterator[CheckStep]:
        return run_checks(
            [
                *host_checks.steps(
                    self.settings.host,
                    self.settings.port,
                    allow_private=self.allow_private_networks,
                    timeout=self.settings.connect_timeout,
                ),
                ("authenticate", self._check_authenticate),
                ("read", self._check_read),
            ]
        )

    def discover(self) -> list[StreamInfo]:
        with read_transaction(self._open_connection(), self.settings) as cursor:
            return [table.stream_info for table in find_relations(cursor, self.settings.schemas)]

    def declared_columns(self) -> SourceColumns | None:
        return self._table.source_columns if self._table is not None else None

    def find_columns(self) -> SourceColumns | None:
        with read_transaction(self._open_connection(), self.settings) as cursor:
            return self._find_table(cursor).source_columns

    @contextlib.contextmanager
    def hold_snapshot(
        self, streams: Sequence[str], *, is_required: bool, max_bytes: int | None
    ) -> Iterator[HeldSnapshot]:
        if self.settings.snapshot == "paged" and not is_required:
            yield HeldSnapshot(reason="the source's setting `snapshot` is paged")
            return
        with hold_snapshot(
            self._open_connection(), self.settings, streams, max_bytes=max_bytes
        ) as held:
            yield held

    def get_total_records_count(self) -> int | None:
        if self._described is not None:  # The transaction of the snapshot also reads the rows.
            with ExitStack() as stack, contextlib.suppress(NotLocked):
                locked = stack.enter_context(self._lock_table())
                self._begun = stack.pop_all(), locked
                return count_rows(locked.cursor, locked.table, locked.facts, self.spec.window)
        with read_transaction(self._open_connection(), self.settings) as cursor:
            table = self._counted = self._find_table(cursor)
            facts = read_facts(cursor, [table])[0]
            return count_rows(cursor, table, facts, self.spec.window)

    def plan_window(self, request: WindowRequest, state: JsonObject) -> WindowPlan:
        with read_transaction(self._open_connection(), self.settings) as cursor:
            return plan_window(cursor, self._find_table(cursor), request, state)

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
        self._abandon_snapshot()
        self._discard_ahead()
        self._close_bulk()
        if self._begun is not None:
            self._begun[0].close()
        if self._connection is not None:
            kept_connections.give_back(self._connection, FORGET_SESSION)
            self._connection = None
        super().close()

    def _read_page(self, token: Token, state: Mapping[str, Any]) -> SourcePage:
        if "snapshot" in token:
            return self._continue_snapshot(require_snapshot(self._snapshot, token))
        if token:
            return self._continue_pages(token, state)
        return self._deliver(self._start(state), state)

    def _start(self, state: Mapping[str, Any]) -> SourcePage | RequestedPage:
        """Read or request the first page, after deciding how the stream is read."""
        self._abandon_snapshot()
        self._discard_ahead()
        with ExitStack() as stack:
            locked = self._continue_transaction(stack)
            self._table, self._files = locked.table, locked.files
            plan = self._make_plan(
                locked, state, self._find_form(locked.cursor, locked.table, state)
            )
            if isinstance(plan, IncrementalPlan):
                plan.watermark.check_position(locked.cursor, state, locked.files.contents_digest)
            is_whole = self.spec.snapshot is not None or is_read_whole(
                locked, plan, self.settings.snapshot
            )
            self._log_how_it_is_read(locked, is_whole=is_whole)
            scales = {} if state or self.page_limit else self._find_scales(locked)
            if not is_whole:
                return self._start_pages(locked, plan, scales)
            if isinstance(plan, KeyPlan) and locked.size > SHORT_READ:
                plan = WholePlan(plan.conditions)  # Do not sort a large table.
            reader = self._make_reader(locked, plan, scales)
            self._snapshot = SnapshotRead(reader, self.page_limit)
            self._transaction = stack.pop_all()
        return self._continue_snapshot(self._snapshot)

    def _continue_transaction(self, stack: ExitStack) -> LockedTable:
        """Lock the table, or use the transaction that has counted the rows. It ends with the stack."""
        if self._begun is None:
            return stack.enter_context(self._lock_table())
        (transaction, locked), self._begun = self._begun, None
        stack.enter_context(transaction)
        return locked

    def _start_pages(
        self, locked: LockedTable, plan: Plan, scales: Scales
    ) -> SourcePage | RequestedPage:
        reader = self._make_reader(locked, plan, scales)
        if self.page_limit or not isinstance(plan, IncrementalPlan):
            return self._open_page(reader, {})
        first_rows, unplaced = reader.read_unplaced()
        watermark = plan.watermark
        position = {
            "upper": watermark.find_upper(locked.cursor),
            "unplaced": unplaced,
            "form": watermark.form,
        }
        new_ties, after_ties = reader.read_new_ties()
        position = {
            **{name: value for name, value in position.items() if value},
            **after_ties,
        }
        return reader.read_page(position, self._row_limit, first_rows + new_ties)

    def _make_reader(self, locked: LockedTable, plan: Plan, scales: Scales) -> TableReader:
        bulk = self._open_bulk(locked)
        timeout = self.settings.statement_timeout
        reader = TableReader(locked, plan, scales, timeout, self._types, bulk)
        passing = Passing(self.copy_version, self.spec.primary_key)
        may_pass = not isinstance(plan, IncrementalPlan)
        if may_pass and passing.accepts(reader.columns, locked.cursor.connection):
            return replace(reader, passing=passing)
        return reader

    def _open_bulk(self, locked: LockedTable) -> BulkConnection | None:
        """Return the second connection, through which a large table is read, or None."""
        if self._may_use_bulk is None:
            is_preview = self.page_limit is not None
            self._may_use_bulk = (
                not is_preview
                and self.settings.page_size >= BULK_PAGE_ROWS
                and locked.size >= BULK_BYTES
            )
        if self._bulk is not None and self._bulk.is_closed:
            self._close_bulk()
        if self._bulk is None and self._may_use_bulk:
            try:
                self._bulk = BulkConnection(locked.cursor.connection, self.settings)
            except BulkUnusable as reason:
                self._may_use_bulk = False
                logger.info("Reading through one connection, which is slower: {}", reason)
        return self._bulk

    def _close_bulk(self) -> None:
        if self._bulk is not None:
            self._bulk.close()
            self._bulk = None

    def _find_scales(self, locked: LockedTable) -> Scales:
        columns = self._types.apply(locked.table.columns)
        return find_scales(locked.cursor, locked.table, columns)

    @cached_property
    def _described(self) -> DescribedTable | None:
        """The description of the table by the process that keeps the snapshot, until the table is locked."""
        snapshot = self.spec.snapshot
        return DescribedTable.from_json(snapshot.table) if snapshot and snapshot.table else None

    @cached_property
    def _types(self) -> TypeChoice:
        return TypeChoice(self.type_system, dict(self.kept_types), self.is_transformed)

    def _continue_pages(self, token: Token, state: Mapping[str, Any]) -> SourcePage:
        if self._ahead is not None and self._ahead[0] == token:
            page, self._ahead = self._ahead[1], None
            return self._deliver(page, state)
        self._discard_ahead()
        return self._deliver(self._open_page_at(token, state), state)

    def _open_page_at(self, token: Token, state: Mapping[str, Any]) -> SourcePage | RequestedPage:
        with self._lock_table(self._table) as locked:
            self._table = locked.table
            self._check_files(token, locked)
            plan = self._make_plan(locked, state, token.get("form", ""))
            reader = self._make_reader(locked, plan, token.get("scales", {}))
            position = {name: token[name] for name in token.keys() - {"file", "key", "scales"}}
            return self._open_page(reader, position)

    def _open_page(self, reader: TableReader, position: Token) -> SourcePage | RequestedPage:
        if not isinstance(reader.plan, KeyPlan):
            return reader.read_page(position, self._row_limit)
        # A page that is cut costs the cancelling of its query, so the next pages of wide rows have fewer rows.
        fitting_rows = int(0.8 * MAX_PAGE_BYTES / self._row_bytes)
        return reader.request_page(position, max(1, min(self._row_limit, fitting_rows)))

    def _deliver(self, page: SourcePage | RequestedPage, state: Mapping[str, Any]) -> SourcePage:
        """Return the page, after requesting the next, which arrives while this one is decoded and written."""
        if not isinstance(page, RequestedPage):
            return page
        received = page.receive()
        if received.rows.row_count:
            self._row_bytes = received.rows.size / received.rows.row_count
        if received.next_token and self._bulk is not None:
            self._request_ahead(received.next_token, state)
        return received.deliver()

    def _request_ahead(self, token: Token, state: Mapping[str, Any]) -> None:
        """Request a page that nobody has asked for. If that fails, it is requested once more when it is needed."""
        files = self._files
        try:
            page = self._open_page_at(token, state)
        except EngineError as error:
            logger.debug("The next page is not requested ahead: {}", error.message)
            self._files = files
        else:
            self._ahead = (token, page) if isinstance(page, RequestedPage) else None

    def _discard_ahead(self) -> None:
        if self._ahead is not None:
            page, self._ahead = self._ahead[1], None
            page.discard()

    def _check_files(self, token: Token, locked: LockedTable) -> None:
        """Raise PositionGone if the table is not the one that the pages before were read from."""
        if "file" not in token:
            raise PositionGone("the position was stored by an earlier version of Drover")
        key = list(locked.table.key)
        if token.get("key", key) != key:
            raise PositionGone("the key of the table changed while it was read")
        earlier, files = self._files, locked.files
        is_same = token.get("file") == files.digest
        is_extended = (
            earlier is not None and token.get("file") == earlier.digest and files.includes(earlier)
        )
        if not is_same and not is_extended:
            raise table_replaced(locked.table)
        self._files = files

    def _continue_snapshot(self, snapshot: SnapshotRead) -> SourcePage:
        try:
            with converting_errors(self.settings):
                page = snapshot.read_page(self._row_limit)
                if not page.next_pagination:
                    self._transaction.close()
        except BaseException:
            self._abandon_snapshot()
            raise
        if not page.next_pagination:
            self._snapshot = None
        return page

    def _abandon_snapshot(self) -> None:
        """End a read that has not reached its last page. Its connection is in the middle of a query."""
        if self._snapshot is None or self._connection is None:
            return
        if self._bulk is not None:
            with contextlib.suppress(psycopg.Error, SourceError):
                self._snapshot.close()
            self._close_bulk()
        connection, self._connection, self._snapshot = self._connection, None, None
        with contextlib.suppress(psycopg.Error):
            connection.cancel_safe(timeout=5)
        connection.close()
        with contextlib.suppress(psycopg.Error, SourceError):
            self._transaction.close()

    def _lock_table(self, known: Relation | None = None) -> AbstractContextManager[LockedTable]:
        """Lock the table of the stream, whose description is read again unless it is `known`."""
        snapshot = self.spec.snapshot.token if self.spec.snapshot else ""
        if known is None and self._described is not None:
            described, self._described = self._described, None
            return lock_described(self._open_connection(), self.settings, described, snapshot)
        connection, find = self._open_connection(), self._find_table
        return lock_table(connection, self.settings, find, known, self._counted, snapshot)

    def _find_form(self, cursor: Cursor, table: Relation, state: Mapping[str, Any]) -> str:
        """Return the form of a cursor field that is text, or the unit of one that is a number.

        Raises ConfigurationError if a text does not sort by time.
        """
        if self.spec.sync_mode != "incremental" or not self.spec.cursor_field:
            return ""
        column = table.cursor_column(self.spec.cursor_field)
        has_form = column.base_type in TYPES_WITH_FORM
        if has_form:
            return find_form(cursor, table, column)
        return find_unit(cursor, table, column, state)

    def _make_plan(self, locked: LockedTable, state: Mapping[str, Any], form: str) -> Plan:
        table = locked.table
        if self.spec.window is not None:
            return make_window_plan(table, self.spec.window, self.protected_fields)
        if self.spec.sync_mode != "incremental" or not self.spec.cursor_field:
            has_usable_key = table.key and self.protected_fields.isdisjoint(table.key)
            return (
                KeyPlan(tuple(table.column(name) for name in table.key))
                if has_usable_key
                else WholePlan()
            )
        table.require_readable_key(self.protected_fields)
        lookback = self.settings.lookback_seconds
        return make_cursor_plan(table, self.spec.cursor_field, state, lookback, form)

    def _log_how_it_is_read(self, locked: LockedTable, *, is_whole: bool) -> None:
        if not self._logged and not self.page_limit:
            self._logged = True
            snapshot_at = self.spec.snapshot.at if self.spec.snapshot else None
            locked.log_how_it_is_read(self.settings.user, snapshot_at, is_whole=is_whole)

    @property
    def _row_limit(self) -> int:
        return min(self.settings.page_size, self.page_limit or self.settings.page_size)

    def _open_connection(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.settings, allow_private=self.allow_private_networks)
        return self._connection

    def _find_table(self, cursor: Cursor) -> Relation:
        return find_relation(cursor, self.settings.schemas, self.spec.stream)

    def _check_authenticate(self) -> str:
        version = self._open_connection().info.server_version
        return f"PostgreSQL {version // 10_000} accepts the user {self.settings.user!r}"

    def _check_read(self) -> str:
        with read_transaction(self._open_connection(), self.settings) as cursor:
            if self.spec.stream:
                table = self._find_table(cursor)
                self._find_form(cursor, table, {})
                return f"{table.stream_name} can be read"
            tables = find_relations(cursor, self.settings.schemas)
        if not tables:
            raise SourceError("the user may not read any table or view")
        return f"{len(tables)} tables and views to read"
