"""The databases use the engine's server, a source database, a worker without a queue, and committed rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from pytest_django import Settings

from apps.engine import EngineSupervisor
from apps.runs.execute import Worker
from local.database.postgres import EmbeddedPostgres
from tests.databases.moving import Mover
from tests.engine.conftest import engine_postgres, supervisor
from tests.engine.sources.conftest import SourceDatabase, database, reader_role
from tests.runs.conftest import acme, engine, fixed_runs_per_org, this_worker
from tests.world import World

__all__ = [
    "acme",
    "database",
    "engine",
    "engine_postgres",
    "fixed_runs_per_org",
    "reader_role",
    "supervisor",
    "this_worker",
]


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True


@pytest.fixture
def target(engine_postgres: EmbeddedPostgres) -> Iterator[str]:
    """Create an empty database for what arrives in PostgreSQL, and return its name."""
    name = f"arrived_{uuid4().hex[:12]}"
    with psycopg.connect(engine_postgres.url(), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
    yield name
    with psycopg.connect(engine_postgres.url(), autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def mover(
    acme: World,
    database: SourceDatabase,
    engine_postgres: EmbeddedPostgres,
    this_worker: Worker,
    target: str,
) -> Mover:
    return Mover(acme, this_worker, database, engine_postgres, target)


@pytest.fixture
def faulty_mover(
    acme: World,
    database: SourceDatabase,
    engine_postgres: EmbeddedPostgres,
    supervisor: EngineSupervisor,
    target: str,
) -> Mover:
    """A mover whose children have the faults that a test places, and frequent checkpoints."""
    worker = Worker("tests", supervisor, threading.Event())
    return Mover(acme, worker, database, engine_postgres, target)
