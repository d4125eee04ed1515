"""A database that the sources read from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from local.database.postgres import EmbeddedPostgres

READER = "source_reader"
READER_PASSWORD = "reader p@ss/word:%'"


@dataclass
class SourceDatabase:
    """A database whose owner creates tables, and the settings of a user who may only read them."""

    admin: psycopg.Connection[tuple[Any, ...]]
    config: dict[str, Any]

    def execute(self, *statements: str) -> None:
        for statement in statements:
            self.admin.execute(statement.encode())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.admin.execute(query.encode()).fetchall()


@pytest.fixture(scope="session")
def reader_role(engine_postgres: EmbeddedPostgres) -> str:
    """Create the role of the reader, and return its name."""
    with psycopg.connect(engine_postgres.url(), autocommit=True) as admin:
        quoted_password = READER_PASSWORD.replace("'", "''")
        admin.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{quoted_password}'".encode())
    return READER


@pytest.fixture(scope="module")
def database(engine_postgres: EmbeddedPostgres, reader_role: str) -> Iterator[SourceDatabase]:
    """Create a database for the tests of one module. The reader may read all its tables."""
    name = f"source_{uuid4().hex[:12]}"
    with psycopg.connect(engine_postgres.url(), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
    admin = psycopg.connect(engine_postgres.url(name), autocommit=True)
    admin.execute(f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {reader_role}".encode())
    config = {
        "host": "127.0.0.1",
        "port": engine_postgres.port,
        "database": name,
        "user": reader_role,
        "password": READER_PASSWORD,
    }
    yield SourceDatabase(admin, config)
    admin.close()
    with psycopg.connect(engine_postgres.url(), autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
