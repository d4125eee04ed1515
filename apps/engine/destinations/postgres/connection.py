"""Connect to PostgreSQL for writing, and translate its errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
from psycopg import sql

from apps.engine import postgres
from apps.engine.destinations.postgres.config import PostgresConfig
from apps.engine.failures import (
    LACKS_PERMISSION,
    NO_SUCH,
    TABLE_GONE,
    AuthenticationError,
    ConfigurationError,
    ContractError,
    DestinationError,
    EngineError,
)
from apps.engine.postgres import Connection, Cursor

# Maps SQLSTATE prefixes to the exception and its message; the longest matching prefix wins.
FAILURES_BY_SQLSTATE: dict[str, tuple[type[EngineError], str]] = {
    "0A000": (ConfigurationError, "PostgreSQL cannot change the table as needed"),
    "0L": (AuthenticationError, "PostgreSQL refused the operation"),
    "22": (ContractError, "A value does not fit the table"),
    "23": (ContractError, "A record violates a constraint of the table"),
    "28": (AuthenticationError, "PostgreSQL refused the credentials"),
    "2BP01": (
        ConfigurationError,
        "Another database object depends on the table or column that would change",
    ),
    "3D": (ConfigurationError, f"There is {NO_SUCH} database"),
    "3F": (ConfigurationError, f"There is {NO_SUCH} schema"),
    "42501": (AuthenticationError, f"The user {LACKS_PERMISSION}"),
    "42": (ConfigurationError, "PostgreSQL refused a statement"),
    "42P01": (DestinationError, TABLE_GONE),
    "42P07": (DestinationError, "Another session has created a table of the same name"),
    "53100": (DestinationError, "The disk of the database is full"),
    "53200": (DestinationError, "The database is out of memory"),
    "53300": (DestinationError, "The database has too many connections"),
    "54": (ConfigurationError, "The table or a record exceeds a limit of PostgreSQL"),
    "55P03": (DestinationError, "The table is locked by another session"),
    "57014": (DestinationError, "PostgreSQL cancelled a statement that took too long"),
    "57P": (DestinationError, "The database is shutting down or starting"),
    "P0": (ContractError, "A trigger or function of the database refused a record"),
    "25006": (ConfigurationError, "The database is read-only"),
}

# PostgreSQL ends a transaction that is idle for longer, so that a frozen process does not keep its locks.
IDLE_TRANSACTION_TIMEOUT = "30s"


def connect(config: PostgresConfig, *, allow_private: bool) -> Connection:
    """Check the host against the egress policy, then connect to it. Raises EgressError and EngineError."""
    with converting_errors(config):
        password = config.password.get_secret_value()
        return postgres.connect(config, password, allow_private=allow_private, autocommit=True)


@contextlib.contextmanager
def transaction(
    connection: Connection,
    config: PostgresConfig,
    *first: sql.Composed,
    waits_for_disk: bool = True,
) -> Iterator[Cursor]:
    """Open a cursor in its own transaction, with our timeouts and output formats, and run its `first` statements.

    A commit that does not wait for the disk can be lost if the server crashes. The next commit that waits makes it durable too.
    """
    settings = {
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "extra_float_digits": "1",
        "bytea_output": "hex",
        "client_encoding": "UTF8",
        "client_min_messages": "warning",
        "synchronous_commit": "on" if waits_for_disk else "off",
        "statement_timeout": f"{config.statement_timeout}s",
        "lock_timeout": f"{config.lock_timeout}s",
        "idle_in_transaction_session_timeout": IDLE_TRANSACTION_TIMEOUT,
    }
    with converting_errors(config), connection.cursor() as cursor:
        try:
            postgres.begin_with_settings(cursor, settings, *first)
            yield cursor
        except BaseException:
            # If the connection is lost, the server rolls back.
            with contextlib.suppress(psycopg.Error):
                connection.rollback()
            raise
        connection.commit()


@contextlib.contextmanager
def converting_errors(config: PostgresConfig) -> Iterator[None]:
    """Convert psycopg's errors to ours, with the SQLSTATE as evidence."""
    try:
        yield
    except psycopg.Error as error:
        raise convert_error(error, config) from error


def convert_error(error: psycopg.Error, config: PostgresConfig) -> EngineError:
    """Convert one of psycopg's errors to ours."""
    state = error.sqlstate
    if state is None:
        return postgres.convert_connection_error(error, config, default=DestinationError)
    details = [error.diag.message_primary or "no message"]
    for label, text in (
        ("column", error.diag.column_name),
        ("constraint", error.diag.constraint_name),
        ("hint", error.diag.message_hint),
    ):
        details += [f"{label}: {text}"] if text else []
    evidence = (f"SQLSTATE {state}: {details[0][:300]}", *details[1:])
    for length in (5, 3, 2):
        if state[:length] in FAILURES_BY_SQLSTATE:
            failure, message = FAILURES_BY_SQLSTATE[state[:length]]
            return failure(message, evidence=evidence)
    return DestinationError("PostgreSQL failed", evidence=evidence)
