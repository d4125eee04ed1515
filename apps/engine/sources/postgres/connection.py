"""Connect to PostgreSQL for reading, and translate its errors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import lru_cache

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from apps.engine import postgres
from apps.engine.failures import (
    LACKS_PERMISSION,
    NO_SUCH,
    AuthenticationError,
    ConfigurationError,
    EngineError,
    SourceError,
)
from apps.engine.postgres import Connection, Cursor
from apps.engine.reporting.classify import (
    PERMANENT_SQLSTATE_CLASSES,
    QUERY_CANCELED,
    UNKNOWN_NAME_SQLSTATES,
)
from apps.engine.sources.postgres.columns import UnreadableRows
from apps.engine.sources.postgres.config import Config

LOCK_TIMEOUT = 30  # seconds that a page waits for an exclusive lock of another transaction
CONFLICT_MESSAGE = (
    "PostgreSQL ended the read, because a replica had to apply changes that conflict with it. Read from the primary"
    " server, raise max_standby_streaming_delay, or set `snapshot` to paged for a table with a key"
)


def connect(config: Config, *, allow_private: bool) -> Connection:
    """Open a read-only connection to an address that the egress policy allows. Raises EgressError and EngineError."""
    with converting_errors(config):
        connection = postgres.connect(config, config.password, allow_private=allow_private)
        connection.read_only = True
        # All queries of a transaction see the same snapshot.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return connection


@contextlib.contextmanager
def read_transaction(
    connection: Connection,
    config: Config,
    snapshot: str = "",
    *,
    before: Callable[[Cursor], object] | None = None,
) -> Iterator[Cursor]:
    """Open a cursor in a read-only transaction whose text formats do not depend on the server's settings.

    The transaction has the exported `snapshot`, if there is one. Otherwise PostgreSQL takes its snapshot for the first
    query in it, not for SET and LOCK. `before` is called before the snapshot is imported. Raises SourceError if the transaction that exported the snapshot has ended.
    """
    with converting_errors(config), connection.transaction(), connection.cursor() as cursor:
        cursor.execute(settings_statement(connection, config))
        if before is not None:
            before(cursor)
        if snapshot:
            _import_snapshot(cursor, snapshot)
        yield cursor
        if connection.info.transaction_status is TransactionStatus.INERROR:
            raise psycopg.Rollback  # The query of a page that was cut short has been cancelled.


def _import_snapshot(cursor: Cursor, snapshot: str) -> None:
    try:
        cursor.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.UndefinedObject) as error:
        raise SourceError(
            "the snapshot that the streams of this run share has ended", evidence=(str(error),)
        ) from error


def allow_long_statements(cursor: Cursor) -> None:
    """Remove the timeout of statements until the transaction ends.

    Reading a whole table may take hours, and a COPY also waits for us. `LineReader` cancels a COPY that sends nothing.
    """
    cursor.execute("SET LOCAL statement_timeout = 0")


def settings_statement(connection: Connection, config: Config) -> sql.Composed:
    """Return the settings of a transaction that reads, with formats that do not depend on the server."""
    has_transaction_timeout = connection.info.server_version >= 170_000
    return _settings_statement(config.statement_timeout, has_transaction_timeout)


@lru_cache
def _settings_statement(statement_timeout: float, has_transaction_timeout: bool) -> sql.Composed:
    settings = {
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "iso_8601",
        "extra_float_digits": "1",
        "client_encoding": "UTF8",
        "synchronize_seqscans": "off",  # Read every table from its beginning.
        "statement_timeout": f"{statement_timeout}s",
        "lock_timeout": f"{LOCK_TIMEOUT}s",
        # The transaction of a stream that is read in one snapshot is idle while the destination writes.
        "idle_in_transaction_session_timeout": "0",
    }
    if has_transaction_timeout:
        settings["transaction_timeout"] = "0"
    return sql.SQL("; ").join(
        sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(name), value)
        for name, value in settings.items()
    )


@contextlib.contextmanager
def converting_errors(config: Config) -> Iterator[None]:
    """Convert psycopg's errors to EngineError, with the SQLSTATE as evidence."""
    try:
        yield
    except psycopg.Error as error:
        raise convert_error(error, config) from error


def convert_error(error: psycopg.Error, config: Config) -> EngineError:
    """Convert one of psycopg's errors to an EngineError."""
    state = error.sqlstate
    if state is None:
        return postgres.convert_connection_error(error, config, default=SourceError)
    return convert_server_error(state, error.diag.message_primary or "no message")


def convert_server_error(state: str, server_message: str) -> EngineError:
    """Convert an error of the server to an EngineError. `state` is its SQLSTATE."""
    evidence = (f"SQLSTATE {state}: {server_message}",)
    if state == QUERY_CANCELED:
        return SourceError("PostgreSQL cancelled the query", evidence=evidence)
    if state in {"55P03", "40P01"}:  # a timeout, or a deadlock
        return SourceError("the table is locked by another session", evidence=evidence)
    if state == "55000":  # such as a materialized view that was never filled
        message = "PostgreSQL cannot read the stream in its present state"
        return UnreadableRows(message, evidence=evidence)
    if state == "40001":
        return SourceError(CONFLICT_MESSAGE, evidence=evidence)
    if state.startswith("28"):
        return AuthenticationError("PostgreSQL refused the credentials", evidence=evidence)
    if state == "42501":
        return AuthenticationError(f"the user {LACKS_PERMISSION}", evidence=evidence)
    if state in UNKNOWN_NAME_SQLSTATES:
        message = f"PostgreSQL has {NO_SUCH} database, schema, table or column"
        return ConfigurationError(message, evidence=evidence)
    if state[:2] in {"42", "3F", "3D"}:
        return ConfigurationError("PostgreSQL refused the query", evidence=evidence)
    if state.startswith(PERMANENT_SQLSTATE_CLASSES):
        message = "PostgreSQL could not compute or convert a value of the stream"
        return UnreadableRows(message, evidence=evidence)
    return SourceError("PostgreSQL failed", evidence=evidence)
