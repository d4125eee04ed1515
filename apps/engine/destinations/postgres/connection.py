"""Connect to PostgreSQL for writing, and say in our words what goes wrong."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from apps.engine.destinations.postgres.config import PostgresConfig
from apps.engine.egress.policy import check_host
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    ContractError,
    DestinationError,
    EngineError,
)

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]

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


def connect(config: PostgresConfig, *, allow_private: bool) -> Connection:
    """A connection to an address the egress policy judged. Raises EngineError."""
    addresses = check_host(config.host, config.port, allow_private=allow_private)
    with _certificate_file(config) as certificate, saying_why(config):
        return psycopg.connect(
            host=",".join([config.host] * len(addresses)),
            hostaddr=",".join(addresses),
            port=config.port,
            dbname=config.database,
            user=config.user,
            password=config.password.get_secret_value(),
            passfile="/dev/null",  # nobody's stored passwords
            sslmode=config.sslmode,
            sslrootcert=certificate,
            gssencmode="disable",
            connect_timeout=config.connect_timeout,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
            application_name="drover",
            prepare_threshold=None,  # poolers between us and the server forget them
            autocommit=True,
        )


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
    }
    calls = sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, true)").format(name, value) for name, value in settings.items()
    )
    with saying_why(config), connection.transaction(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {}").format(calls))
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
        return _connection_failure(error, config)
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


def _connection_failure(error: psycopg.Error, config: PostgresConfig) -> EngineError:
    where = f"{config.host}:{config.port}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    evidence = tuple(line[:300] for line in lines[:3])
    text = " ".join(lines)
    if AUTHENTICATION.search(text):
        return AuthenticationError(
            f"PostgreSQL at {where} refused the user {config.user!r}", evidence=evidence
        )
    if CONFIGURATION.search(text):
        return ConfigurationError(f"Cannot connect to {where} this way", evidence=evidence)
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return DestinationError(
            f"{where} did not answer within {config.connect_timeout} s", evidence=evidence
        )
    return DestinationError(f"The connection to {where} failed", evidence=evidence)


@contextlib.contextmanager
def _certificate_file(config: PostgresConfig) -> Iterator[str | None]:
    if config.ssl_root_certificate is None:
        # Without one libpq would look into the home folder of whoever runs this.
        yield "system" if config.sslmode == "verify-full" else None
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(config.ssl_root_certificate)
        file.flush()
        yield file.name
