"""Read a stream in one snapshot: one transaction with one COPY, whose rows are cut into pages as they arrive.

The pages exist only while the transaction is open, so a new attempt begins the stream anew. The token names the
snapshot and the number of the page:

    {"snapshot": "6f1c...", "page": 3}
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from uuid import uuid4

from apps.engine.failures import ConfigurationError, PositionGone
from apps.engine.sources.connector import SourcePage
from apps.engine.sources.postgres.connection import allow_long_statements
from apps.engine.sources.postgres.files import LockedTable
from apps.engine.sources.postgres.pages import Plan, Token, WholePlan
from apps.engine.sources.postgres.reading import TableReader

# Tables of up to this size are read in one snapshot, because the read is short. In bytes.
SHORT_READ = 128 << 20


def is_read_whole(locked: LockedTable, plan: Plan, choice: str) -> bool:
    """Whether the stream is read in one snapshot, by the setting. Raises ConfigurationError if it cannot be read in pages."""
    can_be_paged = not isinstance(plan, WholePlan)
    if choice == "paged" and not can_be_paged:
        raise ConfigurationError(
            f"{locked.table.stream_name} has no key whose values may be stored as a position, so it can only be read"
            " in one snapshot: set `snapshot` to auto"
        )
    if choice != "auto" or not can_be_paged:
        return choice != "paged"
    return locked.table.relkind in {"v", "f"} or locked.size <= SHORT_READ


class SnapshotRead:
    """The rows of a stream in one snapshot. The transaction of the reader must stay open until the last page."""

    def __init__(self, reader: TableReader, row_limit: int | None) -> None:
        """Start to read. `row_limit` is the number of rows of a preview."""
        self._reader = reader
        self._id = uuid4().hex
        self._page = 0
        self._first_rows, unplaced = (b"", []) if row_limit else reader.read_unplaced()
        self._position: dict[str, Any] = {"unplaced": unplaced} if unplaced else {}
        if not row_limit:
            new_ties, position = reader.read_new_ties()
            self._first_rows += new_ties
            self._position |= position
        self._query = reader.plan.page_query(self._position, row_limit)
        if reader.passing:
            self._query = replace(self._query, order=())  # no other columns than the table's
        allow_long_statements(reader.locked.cursor)
        self._copy = ExitStack()
        self._lines = reader.open_rows(self._copy, self._query)

    @property
    def token(self) -> dict[str, Any]:
        """The token of the next page; empty for the first."""
        return {"snapshot": self._id, "page": self._page} if self._page else {}

    def close(self) -> None:
        """End the read before its last page."""
        self._copy.close()

    def read_page(self, limit: int) -> SourcePage:
        """Return the next page."""
        if self._reader.passing:
            return self._read_copied_page(limit)
        page = self._reader.decode(self._query, self._lines, limit, self._first_rows)
        self._first_rows = b""
        if not page.has_more:
            self._copy.close()
            page = self._reader.with_ties(page)
        self._position = self._reader.plan.next_position(self._position, page.end)
        self._page += 1
        if page.has_more:
            return self._reader.frame_page(page.frame, self.token)
        return self._reader.last_page(page, self._position)

    def _read_copied_page(self, limit: int) -> SourcePage:
        self._page += 1
        page = self._reader.read_copied_piece(self._lines, limit, self.token)
        if not page.next_pagination:
            self._copy.close()
        return page


def require_snapshot(current: SnapshotRead | None, token: Token) -> SnapshotRead:
    """Return the snapshot that has the page of the token. Raises PositionGone if it has ended."""
    if current is None or current.token != token:
        raise PositionGone(
            "the stream is read in one snapshot, which ended with the attempt before"
        )
    return current
