"""Read the lines of a COPY from libpq with little overhead, in pieces."""

from __future__ import annotations

import contextlib
import select
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn

from apps.engine.postgres import Connection, Cursor
from apps.engine.process.progress import progress

WAIT_SECONDS = 1.0
CANCEL_SECONDS = 10.0  # the longest wait until a cancelled query ends


@dataclass(frozen=True, slots=True)
class CopiedLines:
    """Whole lines, in pieces. `has_more` means that further lines follow. In the text format a row has one line."""

    pieces: tuple[bytes, ...]
    has_more: bool
    counted_lines: int | None = None  # their number, if it is known

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def line_count(self) -> int:
        """The number of lines, which takes time to count."""
        if self.counted_lines is not None:
            return self.counted_lines
        return sum(piece.count(b"\n") for piece in self.pieces)


class LineReader:
    """The lines of one COPY, which can be read in pieces.

    It uses libpq instead of psycopg's `Copy`, which waits for the first row without a limit.
    """

    def __init__(self, connection: Connection, timeout: float) -> None:
        """`timeout` is the number of seconds after which a query that sends nothing is cancelled."""
        self._has_ended = self._is_cancelled = False
        self._silent_seconds = 0.0
        self._connection = connection
        self._pgconn: PGconn = connection.pgconn
        self._timeout = timeout
        self._next_lines: list[Any] = []  # a line that was received too early, or nothing

    def start(self, query: bytes) -> None:
        """Send the query, and wait until the server begins to send its rows. Raises the server's error."""
        self._pgconn.send_query(query)
        while self._pgconn.flush():
            select.select([], [self._pgconn.socket], [], self._timeout)
        while self._pgconn.is_busy():
            self._wait()
        result = self._pgconn.get_result()
        if result is None or result.status != ExecStatus.COPY_OUT:
            self._end()
            raise error_from_result(result) if result else psycopg.OperationalError("no result")

    def read(self, max_rows: int, max_bytes: int) -> CopiedLines:
        """Return the next `max_rows` lines, or fewer if they are longer than `max_bytes` together.

        Lines that libpq has already received are fetched by direct C calls.
        """
        lines, self._next_lines = self._next_lines, []
        max_rows -= len(lines)
        max_bytes -= sum(map(len, lines))
        pgconn = self._pgconn
        while not self._has_ended:
            size, line = pgconn.get_copy_data(1)
            if size > 0:
                if max_rows <= 0 or max_bytes < 0:
                    self._next_lines.append(line)
                    break
                lines.append(line)
                max_rows -= 1
                max_bytes -= size
            elif size == 0:
                self._wait()
            else:
                self._end()
        return CopiedLines((b"".join(lines),), bool(self._next_lines), len(lines))

    def _wait(self) -> None:
        """Receive what the server sends within a second. A query that sends nothing for too long is cancelled."""
        progress.report()
        if self._is_readable():
            self._silent_seconds = 0.0
        else:
            self._silent_seconds += WAIT_SECONDS
            self._end_silent_query()
        # Also if the socket has nothing: TLS may have decrypted more than libpq has taken.
        self._pgconn.consume_input()

    def _is_readable(self) -> bool:
        poll = select.poll()
        poll.register(self._pgconn.socket, select.POLLIN)
        if not self._silent_seconds:
            return bool(poll.poll(WAIT_SECONDS * 1000))
        with progress.expect_silence("waiting for the source database", self._timeout):
            return bool(poll.poll(WAIT_SECONDS * 1000))

    def _end_silent_query(self) -> None:
        if self._is_cancelled and self._silent_seconds >= CANCEL_SECONDS:
            raise psycopg.OperationalError("the server does not respond")
        if not self._is_cancelled and self._silent_seconds >= self._timeout:
            self._is_cancelled, self._silent_seconds = True, 0.0
            self._connection.cancel_safe(timeout=CANCEL_SECONDS)

    def cancel(self) -> None:
        """End the query, if it has not ended, so that the connection can be used again."""
        if self._has_ended or self._pgconn.transaction_status != TransactionStatus.ACTIVE:
            return
        self._connection.cancel_safe(timeout=CANCEL_SECONDS)
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            while self.read(sys.maxsize, 0).has_more:
                pass

    def _end(self) -> None:
        """Fetch the results that end a COPY. Raises the server's error."""
        self._has_ended = True
        while (result := self._pgconn.get_result()) is not None:
            if result.status != ExecStatus.COMMAND_OK:
                raise error_from_result(result)


@contextlib.contextmanager
def open_copy(cursor: Cursor, query: sql.Composed, timeout: float) -> Iterator[LineReader]:
    """Start a COPY. If the block ends before the last line was read, the rest of the query is cancelled."""
    reader = LineReader(cursor.connection, timeout)
    reader.start(query.as_bytes(cursor))
    try:
        yield reader
    finally:
        reader.cancel()
