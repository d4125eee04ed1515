"""Connect to PostgreSQL for writing, and say in our words what goes wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg

from apps.engine import postgres
from apps.engine.destinations.postgres.config import PostgresConfig
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    ContractError,
    DestinationError,
    EngineError,
)
from apps.engine.postgres import Connection, Cursor

# SQLSTATEs, the longest prefix wins: the failure and what to say.
STATES: dict[str, tuple[type[EngineError], str]] = {
    "0A000": (ConfigurationError, "PostgreSQL cannot change the table as needed"),
    "0L": (AuthenticationError, "PostgreSQL refused the permission"),
    "22": (ContractError, "A value does not fit the table"),
    "23": (ContractError, "A record breaks a constraint of the table"),
    "28": (AuthenticationError, "PostgreSQL refused the credentials"),
    "2BP01": (ConfigurationError, "Something else depends on what would be changed"),
    "3D": (ConfigurationError, "There is no such database"),
    "3F": (ConfigurationError, "There is no such schema"),
    "42501": (AuthenticationError, "The user lacks a permission"),
    "42": (ConfigurationError, "PostgreSQL refused a statement"),
    "42P01": (DestinationError, "A table has disappeared"),
    "53100": (DestinationError, "The disk of the database is full"),
    "53200": (DestinationError, "The database is out of memory"),
    "53300": (DestinationError, "The database has too many connections"),
    "55P03": (DestinationError, "The table is locked by somebody else"),
    "57014": (DestinationError, "PostgreSQL cancelled a statement that took too long"),
    "57P": (DestinationError, "The database is shutting down or starting"),
    "25006": (ConfigurationError, "The database is read-only"),
}

IDLE_TRANSACTION = "30s"  # then the process that writes is frozen, and others wait for its locks


def connect(config: PostgresConfig, *, allow_private: bool) -> Connection:
    """A connection to an address the egress policy judged. Raises EngineError."""
    with saying_why(config):
        password = config.password.get_secret_value()
        return postgres.connect(config, password, allow_private=allow_private, autocommit=True)


@contextlib.contextmanager
def transaction(connection: Connection, config: PostgresConfig) -> Iterator[Cursor]:
    """A cursor in a transaction of its own, with our time limits and spellings."""
    settings = {
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "extra_float_digits": "1",
        "bytea_output": "hex",
        "client_encoding": "UTF8",
        "client_min_messages": "warning",
        "synchronous_commit": "on",
        "statement_timeout": f"{config.statement_timeout}s",
        "lock_timeout": f"{config.lock_timeout}s",
        "idle_in_transaction_session_timeout": IDLE_TRANSACTION,
    }
    with saying_why(config), connection.transaction(), connection.cursor() as cursor:
        postgres.set_for_transaction(cursor, settings)
        yield cursor


@contextlib.contextmanager
def saying_why(config: PostgresConfig) -> Iterator[None]:
    """Turn psycopg's errors into ours, with the SQLSTATE as evidence."""
    try:
        yield
    except psycopg.Error as error:
        raise explained(error, config) from error


def explained(error: psycopg.Error, config: PostgresConfig) -> EngineError:
    """Our error for one of psycopg's."""
    state = error.sqlstate
    if state is None:
        return postgres.connection_failure(error, config, otherwise=DestinationError)
    said = [error.diag.message_primary or "no message"]
    for label, name in (
        ("column", error.diag.column_name),
        ("constraint", error.diag.constraint_name),
        ("hint", error.diag.message_hint),
    ):
        said += [f"{label}: {name}"] if name else []
    evidence = (f"SQLSTATE {state}: {said[0][:300]}", *said[1:])
    for length in (5, 3, 2):
        if state[:length] in STATES:
            failure, message = STATES[state[:length]]
            return failure(message, evidence=evidence)
    return DestinationError("PostgreSQL failed", evidence=evidence)
