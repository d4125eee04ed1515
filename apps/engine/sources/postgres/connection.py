"""Connect to PostgreSQL for reading, and say in our words what goes wrong."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from typing import Any

import certifi
import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from apps.engine.egress.policy import check_host
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    EngineError,
    SourceError,
)
from apps.engine.sources.postgres.config import Config

Connection = psycopg.Connection[tuple[Any, ...]]

LOCK_TIMEOUT = 30  # seconds a page waits for somebody's exclusive lock

# Failures to connect carry no SQLSTATE, only libpq's text.
AUTHENTICATION = re.compile(
    r"authentication failed|no pg_hba\.conf entry|no password supplied|is not permitted to log in"
    r'|role ".*" does not exist|pg_hba\.conf rejects',
    re.IGNORECASE,
)
CONFIGURATION = re.compile(
    r'database ".*" does not exist|does not support SSL|certificate|root\.crt|SSL error|sslmode',
    re.IGNORECASE,
)


def connect(config: Config, *, allow_private: bool) -> Connection:
    """A read-only connection to the address the egress policy judged. Raises EngineError."""
    addresses = check_host(config.host, config.port, allow_private=allow_private)
    with _certificate_file(config) as certificate, saying_why(config):
        connection = psycopg.connect(
            host=",".join([config.host] * len(addresses)),
            hostaddr=",".join(addresses),
            port=config.port,
            dbname=config.database,
            user=config.user,
            password=config.password,
            passfile="/dev/null",  # nobody's stored passwords
            sslmode=config.sslmode,
            sslrootcert=certificate,
            sslcertmode="disable",  # nor certificates of whoever runs this
            gssencmode="disable",
            connect_timeout=config.connect_timeout,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
            application_name="drover",
            prepare_threshold=None,  # poolers between us and the server forget them
        )
        connection.read_only = True
        return connection


@contextlib.contextmanager
def reading(connection: Connection, config: Config) -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
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
    calls = sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, true)").format(name, value) for name, value in settings.items()
    )
    with saying_why(config), connection.transaction(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {}").format(calls))
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
        return _connection_failure(error, config)
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


def _connection_failure(error: psycopg.Error, config: Config) -> EngineError:
    where = f"{config.host}:{config.port}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    evidence = tuple(line[:300] for line in lines[:3])
    text = " ".join(lines)
    if AUTHENTICATION.search(text):
        return AuthenticationError(
            f"PostgreSQL at {where} refused the user {config.user!r}", evidence=evidence
        )
    if CONFIGURATION.search(text):
        return ConfigurationError(f"cannot connect to {where} this way", evidence=evidence)
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return SourceError(
            f"{where} did not answer within {config.connect_timeout} s", evidence=evidence
        )
    return SourceError(f"the connection to {where} failed", evidence=evidence)


@contextlib.contextmanager
def _certificate_file(config: Config) -> Iterator[str | None]:
    if config.ssl_root_certificate is None:
        yield certifi.where() if config.sslmode == "verify-full" else None
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(config.ssl_root_certificate)
        file.flush()
        yield file.name
