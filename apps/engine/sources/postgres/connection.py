"""Connect to PostgreSQL for reading, and say in our words what goes wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
from psycopg.pq import TransactionStatus

from apps.engine import postgres
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    EngineError,
    SourceError,
)
from apps.engine.postgres import Connection, Cursor
from apps.engine.sources.postgres.config import Config

LOCK_TIMEOUT = 30  # seconds a page waits for somebody's exclusive lock


def connect(config: Config, *, allow_private: bool) -> Connection:
    """A read-only connection to the address the egress policy judged. Raises EngineError."""
    with saying_why(config):
        connection = postgres.connect(config, config.password, allow_private=allow_private)
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # a page is one moment
        return connection


@contextlib.contextmanager
def reading(connection: Connection, config: Config) -> Iterator[Cursor]:
    """A cursor in a read-only transaction whose texts do not depend on the server's settings."""
    settings = {
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "iso_8601",
        "extra_float_digits": "1",
        "client_encoding": "UTF8",
        "statement_timeout": f"{config.statement_timeout}s",
        "lock_timeout": f"{LOCK_TIMEOUT}s",
    }
    with saying_why(config), connection.transaction(), connection.cursor() as cursor:
        postgres.set_for_transaction(cursor, settings)
        yield cursor
        if connection.info.transaction_status is TransactionStatus.INERROR:
            raise psycopg.Rollback  # a page that was cut short cancelled the rest of its query


@contextlib.contextmanager
def saying_why(config: Config) -> Iterator[None]:
    """Turn psycopg's errors into ours, with the SQLSTATE as evidence."""
    try:
        yield
    except psycopg.Error as error:
        raise explained(error, config) from error


def explained(error: psycopg.Error, config: Config) -> EngineError:
    """Our error for one of psycopg's."""
    state = error.sqlstate
    if state is None:
        return postgres.connection_failure(error, config, otherwise=SourceError)
    said = error.diag.message_primary or "no message"
    evidence = (f"SQLSTATE {state}: {said}",)
    if state == "57014":
        return SourceError("PostgreSQL cancelled the query", evidence=evidence)
    if state == "55P03":
        return SourceError("the table is locked by somebody else", evidence=evidence)
    if state.startswith("28"):
        return AuthenticationError("PostgreSQL refused the credentials", evidence=evidence)
    if state == "42501":
        return AuthenticationError("the user may not read this", evidence=evidence)
    if state[:2] in {"42", "3F", "3D"}:
        return ConfigurationError("PostgreSQL refused the query", evidence=evidence)
    return SourceError("PostgreSQL failed", evidence=evidence)
