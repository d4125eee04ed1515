"""Read the rows of a COPY through asyncpg, which is several times faster than libpq.

The server sends one message a row. libpq hands each of them to Python, and asyncpg joins all that it has received. So the
rows of a large table are read through a second connection. It goes to the same address with the same kind of TLS, and takes
over the snapshot of the first connection, which holds the locks and runs all other queries. If the second connection
cannot be used, the rows are read through the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

import asyncpg
import certifi
import uvloop
from psycopg import sql

from apps.engine.failures import SourceError
from apps.engine.postgres import Connection, Cursor
from apps.engine.process.progress import progress
from apps.engine.sources.postgres.config import Config
from apps.engine.sources.postgres.connection import (
    QUERY_CANCELED,
    convert_server_error,
    settings_statement,
)
from apps.engine.sources.postgres.copying import CANCEL_SECONDS, WAIT_SECONDS, CopiedLines

# A transaction that waits for an exclusive lock blocks new readers, and so it would block the second connection although
# the first has locked the table. The rows are then read through the first connection.
LOCK_TIMEOUT = "200ms"
# A query of which nothing but the end is left is not cancelled: asyncpg would wait long for the server's answer.
DISCARD_SECONDS = 0.1
CONNECTION_ERRORS = (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError)
PROBE = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot(); ROLLBACK"


class BulkUnusable(Exception):
    """The rows have to be read through the first connection."""


class BulkConnection:
    """A second connection to the server of `first`. Its event loop runs only during the calls."""

    def __init__(self, first: Connection, config: Config) -> None:
        """Connect. Raises BulkUnusable."""
        self._config = config
        self._loop = uvloop.new_event_loop()
        try:
            self._connection = self._loop.run_until_complete(_connect(first, config))
        except CONNECTION_ERRORS as error:
            self._loop.close()
            raise BulkUnusable(str(error) or type(error).__name__) from error

    @contextlib.contextmanager
    def open_copy(
        self, cursor: Cursor, query: sql.Composed, form: str, timeout: float
    ) -> Iterator[BulkReader]:
        """Start to copy the rows of a query in the snapshot of the cursor's transaction, and wait for the first of them.

        `form` is a format of COPY. `timeout` is the longest wait for rows, in seconds. If the block ends before the last
        row was read, the rest of the query is cancelled. Raises BulkUnusable if the snapshot cannot be taken over, or if
        the table cannot be locked.
        """
        self._loop.run_until_complete(self._begin(cursor))
        reader = BulkReader(
            self._loop, self._connection, query.as_string(cursor), form, self._config, timeout
        )
        try:
            reader.start()
            yield reader
        finally:
            if not self._loop.is_closed():
                reader.cancel()
                self._loop.run_until_complete(self._roll_back())

    @property
    def is_closed(self) -> bool:
        return bool(self._connection.is_closed())

    def close(self) -> None:
        self._connection.terminate()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _begin(self, cursor: Cursor) -> None:
        row = cursor.execute(
            "SELECT pg_export_snapshot(), current_setting('statement_timeout')"
        ).fetchone()
        snapshot, statement_timeout = row if row else ("", "")
        statements = sql.SQL("; ").join(
            [
                sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
                sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot),
                settings_statement(cursor.connection, self._config),
                sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT),
                sql.SQL("SET LOCAL statement_timeout = {}").format(statement_timeout),
            ]
        )
        try:
            await self._connection.execute(statements.as_string(cursor), timeout=CANCEL_SECONDS)
        except CONNECTION_ERRORS as error:
            await self._roll_back()
            raise BulkUnusable(str(error)) from error

    async def _roll_back(self) -> None:
        try:
            await self._connection.execute("ROLLBACK", timeout=CANCEL_SECONDS)
        except CONNECTION_ERRORS:
            self._connection.terminate()


class BulkReader:
    """The rows of one COPY, which can be read in pieces like those of a `LineReader`, in one of COPY's formats."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: asyncpg.Connection[Any],
        query: str,
        form: str,
        config: Config,
        timeout: float,
    ) -> None:
        self._loop = loop
        self._form = form
        self._config = config
        self._timeout = timeout
        self._pieces: list[bytes] = []
        self._size = self._line_count = 0
        self._max_rows = self._max_bytes = 0
        self._has_arrived = False  # whether rows have arrived since the last look
        self._is_discarding = False  # whether nobody wants further rows
        self._is_full, self._is_wanted = asyncio.Event(), asyncio.Event()
        self._task = loop.create_task(
            connection.copy_from_query(query, output=self._receive, format=form)
        )

    def start(self) -> None:
        """Wait for the first rows. Raises BulkUnusable if the table cannot be locked, and the server's error."""
        self._run()

    def read(self, max_rows: int, max_bytes: int) -> CopiedLines:
        """Return the next rows, until they have `max_rows` lines or `max_bytes`. A row of CSV may have several lines."""
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._is_full.clear()
        self._is_wanted.set()
        self._run()
        pieces, line_count = self._pieces, self._line_count
        self._pieces, self._size, self._line_count = [], 0, 0
        return CopiedLines(tuple(pieces), line_count, has_more=not self._task.done())

    @property
    def sent_rows(self) -> int:
        """The number of rows that the server has sent, once the query has ended."""
        return int(str(self._task.result()).split()[1])

    def cancel(self) -> None:
        """End the query, if it has not ended."""
        self._loop.run_until_complete(self._cancel())

    async def _receive(self, piece: bytes) -> None:
        """Take a piece of whole rows. Waits while the page is full."""
        progress.report()
        self._has_arrived = True
        while not self._is_discarding and (piece := self._take(piece)):
            self._is_wanted.clear()
            self._is_full.set()
            await self._is_wanted.wait()

    def _take(self, piece: bytes) -> bytes:
        """Add the rows of the piece to the page, as far as there is room, and return the others."""
        if self._size >= self._max_bytes or self._line_count >= self._max_rows:
            return piece
        rest = b""
        line_count = piece.count(b"\n")
        if self._form != "binary" and self._line_count + line_count > self._max_rows:
            place = find_row_end(
                piece, self._max_rows - self._line_count, has_quotes=self._form == "csv"
            )
            piece, rest = piece[:place], piece[place:]
            line_count = piece.count(b"\n")
        self._pieces.append(piece)
        self._size += len(piece)
        self._line_count += line_count
        return rest

    def _run(self) -> None:
        """Receive until the page is full or the query has ended. Raises the server's error."""
        self._loop.run_until_complete(self._wait())
        if self._task.done():
            self._raise_error()

    async def _wait(self) -> None:
        is_full = asyncio.ensure_future(self._is_full.wait())
        waiting = {self._task, is_full}
        silent_seconds = 0.0
        try:
            while not self._task.done() and not is_full.done():
                self._has_arrived = False
                with self._announce_silence(silent_seconds):
                    await asyncio.wait(
                        waiting, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                silent_seconds = 0.0 if self._has_arrived else silent_seconds + WAIT_SECONDS
                if silent_seconds >= self._timeout:
                    await self._cancel()
                    message = f"it has sent no rows for {self._timeout:g} s"
                    raise convert_server_error(QUERY_CANCELED, message)
        finally:
            is_full.cancel()

    def _announce_silence(self, silent_seconds: float) -> contextlib.AbstractContextManager[None]:
        if not silent_seconds:
            return contextlib.nullcontext()
        return progress.expect_silence("waiting for the source database", self._timeout)

    async def _cancel(self) -> None:
        self._is_discarding = True
        self._is_wanted.set()
        await asyncio.wait({self._task}, timeout=DISCARD_SECONDS)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CANCEL_SECONDS)

    def _raise_error(self) -> None:
        error = self._task.exception()
        if error is None:
            return
        if isinstance(error, asyncpg.LockNotAvailableError):
            raise BulkUnusable(str(error)) from error
        state = str(getattr(error, "sqlstate", None) or "")
        if isinstance(error, asyncpg.PostgresError) and not state.startswith("08"):
            raise convert_server_error(state, str(error)) from error
        address = f"{self._config.host}:{self._config.port}"
        evidence = str(error) or type(error).__name__
        raise SourceError(
            f"The connection to {address} failed", evidence=(evidence[:300],)
        ) from error


def find_row_end(piece: bytes, max_lines: int, *, has_quotes: bool) -> int:
    """Return where the last row within the lines ends, or the first row if it has more lines."""
    place = row_end = lines = 0
    is_quoted = False
    while lines < max_lines or not row_end:
        line_end = piece.find(b"\n", place) + 1 or len(piece)
        if has_quotes and piece.count(b'"', place, line_end) % 2:
            is_quoted = not is_quoted
        place = line_end
        lines += 1
        if not is_quoted:
            row_end = place
        if place == len(piece):
            break
    return row_end or len(piece)


async def _connect(first: Connection, config: Config) -> asyncpg.Connection[Any]:
    """Connect to the address of the first connection, which the egress policy has allowed."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(
        host=first.info.hostaddr,
        port=first.info.port,
        user=config.user,
        password=config.password,
        passfile="/dev/null",  # Do not use a password file of this machine.
        database=config.database,
        ssl=_tls_context(config) if first.pgconn.ssl_in_use else False,
        timeout=config.connect_timeout,
        target_session_attrs="any",
        # Connection poolers do not preserve prepared statements.
        statement_cache_size=0,
        server_settings={"application_name": "drover"},
    )
    try:
        await connection.execute(PROBE, timeout=config.connect_timeout)
    except BaseException:
        connection.terminate()
        raise
    return connection


class _NamedContext(ssl.SSLContext):
    """A TLS context that checks the certificate for `host`, although the connection is made to an address."""

    host: str

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        return super().wrap_bio(*args, **{**options, "server_hostname": self.host})


def _tls_context(config: Config) -> ssl.SSLContext:
    """Return a context that checks as much as libpq does in this mode. Raises ValueError if it would check less."""
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.host = config.host.strip("[]")
    context.check_hostname = config.sslmode == "verify-full"
    if config.ssl_root_certificate is not None:
        context.load_verify_locations(cadata=config.ssl_root_certificate)
    elif config.sslmode == "verify-full":
        context.load_verify_locations(certifi.where())
    elif config.sslmode == "verify-ca":
        raise ValueError("there is no certificate to verify with")
    else:
        context.verify_mode = ssl.CERT_NONE
    return context
