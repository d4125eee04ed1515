"""Read the rows of a locked table: the queries, the pages, and what follows the last page."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
from loguru import logger
from psycopg import sql

from apps.engine.frames.copied import CopiedRows, CopyFormat
from apps.engine.sources.base import FrameIteration
from apps.engine.sources.connector import SourcePage, frame_page
from apps.engine.sources.postgres.bulk import BulkConnection, BulkPage, BulkReader, BulkUnusable
from apps.engine.sources.postgres.columns import (
    DecodedRows,
    PgColumn,
    decode_rows,
    order_text_columns,
)
from apps.engine.sources.postgres.copying import CopiedLines, LineReader, open_copy
from apps.engine.sources.postgres.files import LockedTable
from apps.engine.sources.postgres.native import TypeChoice
from apps.engine.sources.postgres.numerics import Scales, apply_scales
from apps.engine.sources.postgres.pages import (
    MAX_TIES,
    CursorPlan,
    IncrementalPlan,
    KeyPlan,
    PageEnd,
    PageQuery,
    Plan,
    TiedCursorPlan,
    Token,
)
from apps.engine.sources.postgres.passing import Passing, count_rows, last_key, without_frame
from apps.engine.sources.postgres.tables import Relation

MAX_PAGE_BYTES = 16 << 20  # as COPY sends them; a page of wide rows has fewer rows

RowReader = LineReader | BulkReader


@dataclass(frozen=True, slots=True)
class ReadPage:
    """The rows of a page, its end, and whether the COPY has further rows."""

    frame: pl.DataFrame
    end: PageEnd
    has_more: bool

    def cut(self, limit: int) -> ReadPage:
        """Return the page without the rows after the limit, if there are any."""
        excess = self.end.row_count - limit
        if excess <= 0:
            return self
        end = PageEnd(limit, self.end.order_texts.head(limit))
        return ReadPage(self.frame.head(self.frame.height - excess), end, has_more=True)


@dataclass(frozen=True, slots=True)
class TableReader:
    """Reads a locked table in the order of a plan. `timeout` is the longest wait for rows, in seconds.

    The rows are read through the second connection `bulk`, if there is one.
    """

    locked: LockedTable
    plan: Plan
    scales: Scales
    timeout: float
    types: TypeChoice
    bulk: BulkConnection | None = None
    passing: Passing | None = None  # set if the rows may pass without being decoded

    def read_page(self, position: Token, limit: int, first_rows: bytes = b"") -> SourcePage:
        """Return the page at a position. The next page has another snapshot, so its token names the table's files.

        `first_rows` are the rows without a place, which belong to the first page.
        """
        query = self.plan.page_query(position, limit)
        with ExitStack() as stack:
            reader = self.open_rows(stack, query)
            page = self.decode(query, reader, limit + 1, first_rows)
        if query.can_be_cut:
            page = page.cut(limit)
        has_more = page.has_more if query.can_be_cut else page.end.row_count >= limit
        page = self.with_ties(page)
        next_position = self.plan.next_position(position, page.end)
        if has_more:
            return self.frame_page(page.frame, self.token(next_position))
        return self.last_page(page, next_position)

    def request_page(self, position: Token, limit: int) -> RequestedPage:
        """Request the page at a position of a table that is read in the order of a key.

        Its rows arrive in the background, also when the transaction of the locked table has ended. Without a second
        connection, they are read now.
        """
        query, form = self._query_and_format(position, limit)
        cursor, select = self.locked.cursor, self._select(query)
        if self.bulk is not None:
            try:
                page = self.bulk.request_page(cursor, select, form, self.timeout, MAX_PAGE_BYTES)
                return RequestedPage(self, query, limit, form, page)
            except BulkUnusable as reason:
                logger.debug("Reading through one connection: {}", reason)
        with open_copy(cursor, self.copy_query(query), self.timeout) as reader:
            lines = reader.read(sys.maxsize, MAX_PAGE_BYTES)
        return RequestedPage(self, query, limit, "text", lines)

    def _query_and_format(self, position: Token, limit: int) -> tuple[PageQuery, CopyFormat]:
        """Return the query for a page of a key, and the format in which COPY sends its rows."""
        assert isinstance(self.plan, KeyPlan), "the end of a page is its last key"  # noqa: S101
        if not self.passing:
            return self.plan.page_query(position, limit), "text"
        # The query returns one row more than its limit, and no other columns than the table's.
        query = replace(self.plan.page_query(position, limit - 1), order=())
        connection = self.locked.cursor.connection
        return query, self.passing.format_for(self.columns, self.plan.key, connection)

    def token(self, position: Mapping[str, Any]) -> dict[str, Any]:
        """Return the token of the page at a position."""
        token = {**position, "file": self.locked.files.digest, "key": list(self.table.key)}
        return {**token, "scales": self.scales} if self.scales else token

    def open_rows(self, stack: ExitStack, query: PageQuery) -> RowReader:
        """Start to read the rows of a query, until the stack is closed."""
        if self.bulk is not None:
            try:
                copy = self.bulk.open_copy(self.locked.cursor, self._select(query), self.timeout)
                return stack.enter_context(copy)
            except BulkUnusable as reason:
                logger.debug("Reading through one connection: {}", reason)
        return stack.enter_context(
            open_copy(self.locked.cursor, self.copy_query(query), self.timeout)
        )

    def decode(
        self, query: PageQuery, reader: RowReader, limit: int, first_rows: bytes = b""
    ) -> ReadPage:
        """Read the next rows of a COPY."""
        max_rows, max_bytes = (
            (limit, MAX_PAGE_BYTES) if query.can_be_cut else (sys.maxsize, sys.maxsize)
        )
        lines = reader.read(max_rows, max_bytes)
        decoded_rows = self._decode_rows(lines.body, query.order)
        end = PageEnd(decoded_rows.frame.height, decoded_rows.order_texts())
        frame = decoded_rows.frame
        if first_rows:
            frame = self._decode_rows(first_rows + lines.body, query.order).frame
        return ReadPage(frame, end, lines.has_more)

    def _decode_rows(self, body: bytes, order: Sequence[PgColumn]) -> DecodedRows:
        return decode_rows(body, self.columns, order, self.types.unfitting)

    def read_copied_piece(self, reader: RowReader, limit: int, token: Token) -> SourcePage:
        """Return the next rows of a COPY in the text format without decoding them. The token is that of the next page."""
        lines = reader.read(limit, MAX_PAGE_BYTES)
        rows = CopiedRows(
            "text", self.column_names, lines.pieces, lines.line_count, unique_by=self.table.key
        )
        return self.copied_page(rows, token if lines.has_more else {})

    def with_ties(self, page: ReadPage) -> ReadPage:
        """Add the digests of the rows with the last cursor value, if the table has no key.

        The query has the snapshot of the page, so it returns no row that was not read.
        """
        if not isinstance(self.plan, TiedCursorPlan) or not page.end.row_count:
            return page
        query = self.plan.digest_query(page.end.last_texts()[0])
        digests = tuple(digest for (digest,) in self.locked.cursor.execute(query).fetchall())
        return replace(page, end=replace(page.end, tied_digests=digests))

    def last_page(self, page: ReadPage, position: Token) -> SourcePage:
        """Return the last page, with the state of an incremental stream. `position` is the position after it."""
        if not isinstance(self.plan, IncrementalPlan):
            return self.frame_page(page.frame, {})
        state = _state(self.plan, position, self.locked.files.contents_digest)
        _warn_about_ties(self.table, self.plan, state)
        return self.frame_page(page.frame, {}, state)

    def frame_page(
        self, frame: pl.DataFrame, token: Token, state: Mapping[str, Any] | None = None
    ) -> FrameIteration:
        """Return the page, and what is declared about its columns."""
        native = self.types.describe(frame, self.columns, self.table.comment)
        return frame_page(frame, token, state, native=native)

    def copied_page(self, rows: CopiedRows, token: Token) -> FrameIteration:
        """Return the page of rows that were not decoded. Its frame has only the columns."""
        frame = self._decode_rows(b"", ()).frame
        native = self.types.describe(frame, self.columns, self.table.comment)
        if not rows.row_count:
            return frame_page(frame, token, native=native)
        return frame_page(frame, token, native=native, copied=rows)

    def decoded_page(self, body: bytes, query: PageQuery, token: Token) -> FrameIteration:
        """Return the page of rows in the text format."""
        frame = self._decode_rows(body, query.order).frame
        return self.frame_page(frame, token)

    def read_unplaced(self) -> tuple[bytes, list[str]]:
        """Return the rows that have no place in the order of the cursor field and are new, and the digests of all.

        They are read before all other rows. So a row that loses its place while the table is read is not read twice.
        """
        plan = self.plan
        if not isinstance(plan, IncrementalPlan):
            return b"", []
        unplaced = plan.watermark.find_unplaced(self.locked.cursor, plan.state)
        if not unplaced.new:
            return b"", list(unplaced.digests)
        query = replace(plan.page_query({}, None), clauses=plan.watermark.unplaced_clauses())
        with open_copy(self.locked.cursor, self.copy_query(query), self.timeout) as reader:
            lines = reader.read(sys.maxsize, sys.maxsize)
        logger.warning(
            "{:,} rows of {} have no value in {} that can be a position (they are null, infinite or in the future)."
            " They are loaded, and do not move the position.",
            *(lines.line_count, self.table.stream_name, plan.watermark.cursor.name),
        )
        return lines.body, list(unplaced.digests)

    def read_new_ties(self) -> tuple[bytes, Token]:
        """Return the new rows with the last cursor value of the last sync, and the position after them."""
        plan = self.plan
        if not isinstance(plan, TiedCursorPlan) or not plan.has_known_ties:
            return b"", {}
        value = plan.state["after"][0]
        digests = self.locked.cursor.execute(plan.digest_query(value)).fetchall()
        ties = [digest for (digest,) in digests]
        if len(ties) > MAX_TIES:
            return b"", {}
        if plan.watermark.has_lost_digests:
            plan.watermark.rows.require_as_many(self.table, len(ties), len(plan.state["ties"]))
            return b"", {"after": [value], "ties": ties}
        columns = [column.expression for column in self.columns]
        columns += [column.sql for column in order_text_columns((plan.watermark.cursor,))]
        query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(
            sql.SQL(", ").join(columns), plan.new_ties()
        )
        with open_copy(self.locked.cursor, query, self.timeout) as reader:
            body = reader.read(sys.maxsize, sys.maxsize).body
        return body, {"after": [value], "ties": ties}

    def copy_query(self, page_query: PageQuery) -> sql.Composed:
        return sql.SQL("COPY ({}) TO STDOUT").format(self._select(page_query))

    def _select(self, page_query: PageQuery) -> sql.Composed:
        """Return the query for the columns and then, unless the rows are not decoded, for the order texts."""
        columns = [column.expression for column in self.columns]
        columns += [column.sql for column in order_text_columns(page_query.order)]
        return sql.SQL("SELECT {} FROM {} {}").format(
            sql.SQL(", ").join(columns), self.table.aliased_sql, page_query.clauses
        )

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def columns(self) -> tuple[PgColumn, ...]:
        """The columns as they arrive."""
        columns = apply_scales(self.table.columns, self.scales)
        return self.types.apply(columns)

    @property
    def table(self) -> Relation:
        return self.locked.table


@dataclass(frozen=True, slots=True)
class RequestedPage:
    """A page of a table that is read in the order of a key. Its rows may still be on their way.

    Its source calls `receive` when it needs the rows, requests the next page, which begins after the last of these rows,
    and then calls `deliver` of the received page. So the next page arrives while the rows of this one are decoded.
    """

    reader: TableReader
    query: PageQuery
    limit: int
    form: CopyFormat
    rows: BulkPage | CopiedLines

    def receive(self) -> ReceivedPage:
        """Wait for the rows, and find out where the next page begins, without decoding them."""
        pieces, row_count, has_more = self._receive()
        if self.reader.passing:
            has_more = has_more or row_count >= self.limit
        elif row_count > self.limit:
            pieces, row_count, has_more = _without_last_line(pieces), self.limit, True
        rows = CopiedRows(self.form, self._names, pieces, row_count)
        if not has_more:
            return ReceivedPage(self, rows, {})
        assert isinstance(self.reader.plan, KeyPlan)  # noqa: S101
        token = self.reader.token({"after": last_key(rows, self.reader.plan.key)})
        return ReceivedPage(self, rows, token)

    def _receive(self) -> tuple[tuple[bytes, ...], int, bool]:
        """Return the rows in pieces, their number, and whether the query has more."""
        if not isinstance(self.rows, BulkPage):
            return self.rows.pieces, self.rows.line_count, self.rows.has_more
        lines = self.rows.receive()
        pieces, is_complete = lines.pieces, not lines.has_more
        if self.form == "binary":
            pieces = without_frame(pieces, is_complete=is_complete)
        if is_complete:
            return pieces, self.rows.sent_rows, False
        return pieces, count_rows(pieces) if self.form == "binary" else lines.line_count, True

    def discard(self) -> None:
        """End the query. Nobody wants the page."""
        if isinstance(self.rows, BulkPage):
            self.rows.discard()

    @property
    def _names(self) -> tuple[str, ...]:
        """The names of the fields. A key that is also selected as text is there twice, at last as text."""
        texts = order_text_columns(self.query.order)
        return (*self.reader.column_names, *(column.name for column in texts))


@dataclass(slots=True)
class ReceivedPage:
    """The rows of a page as COPY has sent them, and the token of the next page, which is empty if there is none.

    The rows are dropped when the page is delivered, because decoding needs memory of its own.
    """

    requested: RequestedPage
    rows: CopiedRows
    next_token: Mapping[str, Any]

    def deliver(self) -> FrameIteration:
        """Return the page, and decode its rows unless they may pass as they are."""
        reader = self.requested.reader
        if reader.passing:
            return reader.copied_page(self.rows, self.next_token)
        body = b"".join(self.rows.pieces)
        self.rows = replace(self.rows, pieces=())
        return reader.decoded_page(body, self.requested.query, self.next_token)


def _without_last_line(pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
    *others, last = pieces
    last = last[: last.rfind(b"\n", 0, -1) + 1]
    return (*others, last) if last else tuple(others)


def _state(plan: IncrementalPlan, position: Token, contents: str) -> dict[str, Any]:
    last = {**position, "contents": contents} if position.get("after") else plan.state
    state: dict[str, Any] = {
        name: last[name] for name in ("after", "ties", "contents") if name in last
    }
    if position.get("unplaced"):
        state["unplaced"] = position["unplaced"]
    if state and plan.watermark.table.key:
        state["key"] = list(plan.watermark.table.key)
    elif state:
        state["columns"] = plan.watermark.rows.description
    return {"cursor_field": plan.watermark.cursor.name, **state} if state else {}


def _warn_about_ties(table: Relation, plan: IncrementalPlan, state: Mapping[str, Any]) -> None:
    is_unique = isinstance(plan, CursorPlan) and not plan.key
    if is_unique or state.get("ties", ()) is not None:
        return
    logger.warning(
        "More than {:,} rows of {} have the newest value of {}. Rows that get this value later may not be read."
        " Choose a cursor field whose values are more precise.",
        *(MAX_TIES, table.stream_name, plan.watermark.cursor.name),
    )
