"""Connect to a user's PostgreSQL, and explain failed connections. Shared by source and destination."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import certifi
import psycopg
from psycopg import sql

from apps.egress.policy import check_host
from apps.engine.failures import AuthenticationError, ConfigurationError, EngineError
from apps.engine.kept_connections import kept_connections

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]

# Failed connections have no SQLSTATE, only libpq's text.
LOGIN_ERRORS = re.compile(
    r"authentication failed|no pg_hba\.conf entry|no password supplied|is not permitted to log in"
    r'|role ".*" does not exist|pg_hba\.conf rejects',
    re.IGNORECASE,
)
SETTINGS_ERRORS = re.compile(
    r'database ".*" does not exist|does not support SSL|certificate|root\.crt|SSL error|sslmode',
    re.IGNORECASE,
)


class ConnectionSettings(Protocol):
    """The settings of a database connection; `connect_timeout` is in seconds."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def database(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def sslmode(self) -> str: ...
    @property
    def ssl_root_certificate(self) -> str | None: ...
    @property
    def connect_timeout(self) -> int: ...


def connect(
    server: ConnectionSettings, password: str, *, allow_private: bool, autocommit: bool = False
) -> Connection:
    """Check the host against the egress policy, then connect to it. Raises EgressError and psycopg.Error.

    `kept_connections.give_back` closes the connection, or keeps it for the next stream of this process.
    """
    addresses = check_host(server.host, server.port, allow_private=allow_private)
    key = (
        *(*addresses, server.host, server.port, server.database, server.user, password),
        *(server.sslmode, server.ssl_root_certificate, autocommit),
    )
    return kept_connections.take(
        key, lambda: _connect(server, password, addresses, autocommit=autocommit)
    )


def _connect(
    server: ConnectionSettings, password: str, addresses: Sequence[str], *, autocommit: bool
) -> Connection:
    with _certificate_file(server) as certificate:
        return psycopg.connect(
            host=",".join([server.host] * len(addresses)),
            hostaddr=",".join(addresses),
            port=server.port,
            dbname=server.database,
            user=server.user,
            password=password,
            passfile="/dev/null",  # Do not use a password file of this machine.
            sslmode=server.sslmode,
            sslrootcert=certificate,
            sslcertmode="disable",  # Do not use client certificates of this machine.
            gssencmode="disable",
            connect_timeout=server.connect_timeout,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
            application_name="drover",
            # Connection poolers do not preserve prepared statements and session settings. `begin_with_settings`
            # applies settings to each transaction instead.
            prepare_threshold=None,
            autocommit=autocommit,
        )


def begin_with_settings(cursor: Cursor, settings: Mapping[str, str], *first: sql.Composed) -> None:
    """Begin a transaction, apply server settings until it ends, and run its first statements, in one request."""
    begin = _begin_statement(tuple(settings.items()))
    cursor.execute(b"; ".join([begin, *(statement.as_bytes(cursor) for statement in first)]))


@lru_cache
def _begin_statement(settings: tuple[tuple[str, str], ...]) -> bytes:
    set_calls = sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, true)").format(name, value) for name, value in settings
    )
    return sql.SQL("BEGIN; SELECT {}").format(set_calls).as_bytes()


def fetch_together(cursor: Cursor, *statements: sql.Composable) -> list[list[tuple[Any, ...]]]:
    """Run statements without parameters one after the other, in one request. Returns the rows of each, if it has any.

    Each statement sees what has been committed while the statements before it waited for locks.
    """
    cursor.execute(sql.SQL("; ").join(statements))
    return [
        result.fetchall() if result.pgresult and result.pgresult.nfields else []
        for result in cursor.results()
    ]


def convert_connection_error(
    error: psycopg.Error, server: ConnectionSettings, *, default: type[EngineError]
) -> EngineError:
    """Convert a connection error without SQLSTATE.

    Returns an error of class `default` if neither the login nor the settings caused it.
    """
    address = f"{server.host}:{server.port}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    evidence = tuple(line[:300] for line in lines[:3])
    text = " ".join(lines)
    if LOGIN_ERRORS.search(text):
        return AuthenticationError(
            f"PostgreSQL at {address} refused the user {server.user!r}", evidence=evidence
        )
    if SETTINGS_ERRORS.search(text):
        return ConfigurationError(
            f"Cannot connect to {address} with these settings", evidence=evidence
        )
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return default(
            f"{address} did not respond within {server.connect_timeout} s", evidence=evidence
        )
    return default(f"The connection to {address} failed", evidence=evidence)


@contextlib.contextmanager
def _certificate_file(server: ConnectionSettings) -> Iterator[str | None]:
    if server.ssl_root_certificate is None:
        yield certifi.where() if server.sslmode == "verify-full" else None
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(server.ssl_root_certificate)
        file.flush()
        yield file.name
