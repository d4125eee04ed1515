"""Read the rows of a COPY through asyncpg, which is several times faster than libpq.

The server sends one message a row. libpq hands each of them to Python, and asyncpg joins all that it has received. So the
rows of a large table are read through a second connection. It goes to the same address with the same kind of TLS, and takes
over the snapshot of the first connection, which holds the locks and runs all other queries. If the second connection
cannot be used, the rows are read through the first.

A thread receives the rows, so the next page arrives while the page before it is decoded.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import threading
import weakref
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from typing import Any, TypeVar

import asyncpg
import certifi
from psycopg import sql

from apps.engine.failures import SourceError
from apps.engine.postgres import Connection, Cursor
from apps.engine.process.progress import progress
from apps.engine.reporting.classify import QUERY_CANCELED
from apps.engine.sources.postgres.config import Config
from apps.engine.sources.postgres.connection import (
    convert_server_error,
    settings_statement,
)
from apps.engine.sources.postgres.copying import CANCEL_SECONDS, WAIT_SECONDS, CopiedLines

# A transaction that waits for an exclusive lock blocks new readers, and so it would block the second connection although
# the first has locked the table. The rows are then read through the first connection.
LOCK_TIMEOUT = "200ms"
# A query of which nothing but the end is left is not cancelled: asyncpg would wait long for the server's answer.
DISCARD_SECONDS = 0.1
# asyncpg hands over what has arrived, and each time costs as much as some hundred rows. After a piece that is smaller than
# this, in bytes, the reader waits, so that the next piece has more rows.
SMALL_PIECE = 192 << 10
PAUSE_SECONDS = 0.001
CONNECTION_ERRORS = (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError)
PROBE = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot(); ROLLBACK"

Result = TypeVar("Result")


class BulkUnusable(Exception):
    """The rows have to be read through the first connection."""


class BulkConnection:
    """A second connection to the server of `first`, and the thread that receives its rows."""

    def __init__(self, first: Connection, config: Config) -> None:
        """Connect. Raises BulkUnusable."""
        self._config = config
        self._loop = asyncio.new_event_loop()
        self._readers: set[BulkReader] = set()
        # The thread keeps the readers, so that their tasks end in it although the garbage collector runs elsewhere.
        self._thread = threading.Thread(
            target=_serve, args=(self._loop, self._readers), daemon=True
        )
        self._thread.start()
        try:
            self._connection = self._run(_connect(first, config))
        except CONNECTION_ERRORS as error:
            self._loop.call_soon_threadsafe(self._loop.stop)
            raise BulkUnusable(str(error) or type(error).__name__) from error
        # Also when a source was not closed, the connection ends in its own thread.
        self._finalizer = weakref.finalize(
            self, _shut_down, self._loop, self._connection, self._readers
        )

    @contextlib.contextmanager
    def open_copy(
        self, cursor: Cursor, query: sql.Composed, timeout: float
    ) -> Iterator[BulkReader]:
        """Start to copy the rows of a query in the snapshot of the cursor's transaction, and wait for the first of them.

        `timeout` is the longest wait for rows, in seconds. If the block ends before the last row was read, the rest of
        the query is cancelled. Raises BulkUnusable if the snapshot cannot be taken over, or if the table cannot be locked.
        """
        reader = self._start(cursor, query, "text", timeout)
        try:
            yield reader
        finally:
            if self._finalizer.alive:  # The garbage collector may have ended the connection before.
                self._run(self._end(reader))

    def request_page(
        self, cursor: Cursor, query: sql.Composed, form: str, timeout: float, max_bytes: int
    ) -> BulkPage:
        """Start to copy like `open_copy`, as one page of up to `max_bytes`. The query ends with the page.

        `form` is a format of COPY.
        """
        reader = self._start(cursor, query, form, timeout)
        return BulkPage(reader, self._submit(self._receive_page(reader, max_bytes)))

    @property
    def is_closed(self) -> bool:
        return bool(self._connection.is_closed())

    def close(self) -> None:
        """End the connection, and whatever is received at this moment."""
        self._finalizer()
        self._thread.join()

    def _start(self, cursor: Cursor, query: sql.Composed, form: str, timeout: float) -> BulkReader:
        exported = cursor.execute(
            "SELECT pg_export_snapshot(), current_setting('statement_timeout')"
        ).fetchone()
        self._run(self._begin(cursor, *(exported or ("", ""))))
        reader = BulkReader(self._loop, self._config, timeout)
        self._readers.add(reader)
        command = query.as_string(cursor)
        try:
            reader.wait_for(self._submit(reader.start(self._connection, command, form)))
        except BaseException:
            self._run(self._end(reader))
            raise
        return reader

    async def _begin(self, cursor: Cursor, snapshot: str, statement_timeout: str) -> None:
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

    async def _receive_page(self, reader: BulkReader, max_bytes: int) -> CopiedLines:
        try:
            return await reader.next_page(sys.maxsize, max_bytes)
        finally:
            await self._end(reader)

    async def _end(self, reader: BulkReader) -> None:
        await reader.cancel()
        self._readers.discard(reader)
        await self._roll_back()

    async def _roll_back(self) -> None:
        try:
            await self._connection.execute("ROLLBACK", timeout=CANCEL_SECONDS)
        except CONNECTION_ERRORS:
            self._connection.terminate()

    def _submit(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._submit(work).result()


def _serve(loop: asyncio.AbstractEventLoop, readers: set[BulkReader]) -> None:
    """Run the loop in this thread until it is stopped."""
    loop.run_forever()
    readers.clear()
    loop.close()


def _shut_down(
    loop: asyncio.AbstractEventLoop, connection: asyncpg.Connection[Any], readers: set[BulkReader]
) -> None:
    """End the connection, and then the thread of the loop."""
    asyncio.run_coroutine_threadsafe(_terminate(loop, connection, readers), loop)


async def _terminate(
    loop: asyncio.AbstractEventLoop, connection: asyncpg.Connection[Any], readers: set[BulkReader]
) -> None:
    try:
        connection.terminate()
        for reader in readers:
            reader.discard_rows()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(
            {asyncio.gather(*others, return_exceptions=True)}, timeout=CANCEL_SECONDS
        )
    finally:
        loop.stop()


class BulkReader:
    """The rows of one COPY in one of its formats, which can be read in pieces like those of a `LineReader`.

    Its coroutines run in the thread that receives the rows. When a page was taken, that thread receives the next.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, config: Config, timeout: float) -> None:
        self._loop = loop
        self._config = config
        self._timeout = timeout
        self._counts_lines = False  # only if their number is limited, because it takes time
        self._pieces: list[bytes] = []
        self._size = self._line_count = 0
        self._max_rows = self._max_bytes = 0
        self._has_arrived = False  # whether rows have arrived since the last look
        self._is_discarding = False  # whether nobody wants further rows
        self._has_started, self._is_full, self._is_wanted = (asyncio.Event() for _ in range(3))
        self._task: asyncio.Task[str] | None = None

    def read(self, max_rows: int, max_bytes: int) -> CopiedLines:
        """Return the next rows, until they have `max_rows` lines or `max_bytes`. All pages have the limits of the first."""
        page = self.next_page(max_rows, max_bytes)
        return self.wait_for(asyncio.run_coroutine_threadsafe(page, self._loop))

    @property
    def sent_rows(self) -> int:
        """The number of rows that the server has sent, once the query has ended."""
        assert self._task is not None  # noqa: S101
        return int(self._task.result().split()[1])

    def wait_for(self, future: Future[Result]) -> Result:
        """Wait for rows, and say so if none arrive. Raises SourceError if the server sends nothing for too long."""
        silent_seconds = 0.0
        while not future.done():
            self._has_arrived = False
            with self._announce_silence(silent_seconds):
                wait_for_futures([future], timeout=WAIT_SECONDS)
            silent_seconds = 0.0 if self._has_arrived else silent_seconds + WAIT_SECONDS
            if self._has_arrived:
                progress.report()
            elif silent_seconds >= self._timeout and not future.done():
                self.cancel_and_wait()
                message = f"it has sent no rows for {self._timeout:g} s"
                raise convert_server_error(QUERY_CANCELED, message)
        return future.result()

    def cancel_and_wait(self) -> None:
        """Cancel the query from the thread that reads, and wait until it has ended."""
        asyncio.run_coroutine_threadsafe(self.cancel(), self._loop).result()

    async def start(self, connection: asyncpg.Connection[Any], query: str, form: str) -> None:
        """Start the query and wait for the first rows. Raises BulkUnusable if the table cannot be locked, and the server's error."""
        self._task = asyncio.ensure_future(
            connection.copy_from_query(query, output=self._receive, format=form)
        )
        await self._wait_for_event(self._has_started)

    async def next_page(self, max_rows: int, max_bytes: int) -> CopiedLines:
        """Return the next rows. Raises the server's error."""
        if not self._max_bytes:
            self._max_rows, self._max_bytes = max_rows, max_bytes
            self._counts_lines = max_rows < sys.maxsize
            self._continue()
        await self._wait_for_event(self._is_full)
        pieces, line_count = self._pieces, self._line_count if self._counts_lines else None
        self._pieces, self._size, self._line_count = [], 0, 0
        has_more = self._task is not None and not self._task.done()
        self._continue()
        return CopiedLines(tuple(pieces), has_more, line_count)

    async def cancel(self) -> None:
        """End the query, if it has not ended."""
        self.discard_rows()
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=DISCARD_SECONDS)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CANCEL_SECONDS)

    def discard_rows(self) -> None:
        """Discard all rows that arrive from now on. `_receive` does not wait for a reader then."""
        self._is_discarding = True
        self._is_wanted.set()

    async def _receive(self, piece: bytes) -> None:
        """Take a piece of whole rows. Waits while the page is full."""
        self._has_arrived = True
        self._has_started.set()
        is_small = len(piece) < SMALL_PIECE
        while not self._is_discarding and (piece := self._take(piece)):
            self._is_wanted.clear()
            self._is_full.set()
            await self._is_wanted.wait()
        if is_small and not self._is_discarding:
            await asyncio.sleep(PAUSE_SECONDS)

    def _take(self, piece: bytes) -> bytes:
        """Add the rows of the piece to the page, as far as there is room, and return the others."""
        if self._size >= self._max_bytes or self._line_count >= self._max_rows:
            return piece
        rest = b""
        if self._counts_lines:
            line_count = piece.count(b"\n")
            if self._line_count + line_count > self._max_rows:
                place = _find_line_end(piece, self._max_rows - self._line_count)
                piece, rest = piece[:place], piece[place:]
                line_count = piece.count(b"\n")
            self._line_count += line_count
        self._pieces.append(piece)
        self._size += len(piece)
        return rest

    def _continue(self) -> None:
        """Let `_receive` fill the next page."""
        self._is_full.clear()
        self._is_wanted.set()

    async def _wait_for_event(self, event: asyncio.Event) -> None:
        """Wait until the event is set or the query has ended. Raises the server's error."""
        assert self._task is not None  # noqa: S101
        happened = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({self._task, happened}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            happened.cancel()
        if self._task.done():
            self._raise_error(self._task)

    def _announce_silence(self, silent_seconds: float) -> contextlib.AbstractContextManager[None]:
        if not silent_seconds:
            return contextlib.nullcontext()
        return progress.expect_silence("waiting for the source database", self._timeout)

    def _raise_error(self, task: asyncio.Task[str]) -> None:
        error = task.exception()
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


class BulkPage:
    """The rows of one page, which arrive while the thread that has requested them does something else."""

    def __init__(self, reader: BulkReader, page: Future[CopiedLines]) -> None:
        self._reader = reader
        self._page: Future[CopiedLines] | None = page

    def receive(self) -> CopiedLines:
        """Wait for the page, and return it once, so that its memory can be freed. Raises the server's error."""
        assert self._page is not None  # noqa: S101
        page, self._page = self._page, None
        return self._reader.wait_for(page)

    def discard(self) -> None:
        """End the query, and wait until its transaction has ended."""
        if self._page is not None:
            self._reader.cancel_and_wait()
            wait_for_futures([self._page])

    @property
    def sent_rows(self) -> int:
        """The number of rows that the server has sent, if the page has all of them."""
        return self._reader.sent_rows


def _find_line_end(piece: bytes, max_lines: int) -> int:
    """Return where the last of the lines ends."""
    place = 0
    for _ in range(max_lines):
        place = piece.index(b"\n", place) + 1
    return place


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
