"""Fixtures of the whole suite: the worker's database, orgs with one member per role, and clients."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import hypothesis
import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.hashers import BCryptSHA256PasswordHasher
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django.plugin import DjangoDbBlocker

from apps.auth import keys
from tests import database, name_server
from tests import first_start as starting
from tests.name_server import NameServer
from tests.world import World, make_world

# With the default thresholds, garbage collection takes a twentieth of the suite's time.
gc.set_threshold(100_000, 20, 100)

# A slow machine is not a failure. In CI the examples are always the same, so that a failure comes from the change.
hypothesis.settings.register_profile(
    "drover",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("drover")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes after their argument: compressed ones contain a timestamp, and parallel processes must agree on
    names.
    """
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def cheap_bcrypt() -> Iterator[None]:
    """The same hash with fewer rounds: with the real cost, bcrypt would take half of the suite's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BCryptSHA256PasswordHasher, "rounds", 4)
        patch.setattr(keys, "BCRYPT_COST", 4)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Replaces pytest-django's fixture: the template was created by app_owner, tests run as app_user."""
    database.create_worker_database()
    for settings_of_one in connections.settings.values():
        # A test is one transaction, which is idle while the test computes or waits for other processes.
        settings_of_one["OPTIONS"]["options"] = "-c idle_in_transaction_session_timeout=10min"
    yield
    with django_db_blocker.unblock():
        close_connections()


def close_connections() -> None:
    for connection in connections.all(initialized_only=True):
        connection.close()
        if isinstance(connection, DatabaseWrapper):
            connection.close_pool()


@pytest.fixture(scope="session", autouse=True)
def _name_server() -> Iterator[NameServer]:
    """No test queries the machine's name servers."""
    with name_server.running() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "DNS_SERVERS", [server.address])
        yield server


@pytest.fixture
def dns(_name_server: NameServer) -> NameServer:
    """The name server, without any records."""
    _name_server.forget()
    return _name_server


@pytest.fixture
def world(db: None) -> World:
    """One org with an owner, admin, member and viewer; rolled back after the test."""
    return make_world()


@pytest.fixture
def stranger(db: None) -> World:
    """Another org, whose members must never see the first."""
    return make_world()


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Real commits, for tests whose other processes or connections must see the rows; the tables are emptied
    afterwards.
    """
    with django_db_blocker.unblock():
        yield
        close_connections()
        empty_database()


def empty_database() -> None:
    """Empty the tables as the administrator, once no process writes any more.

    TRUNCATE would create hundreds of files each time.
    """
    with psycopg.connect(database.url_of(database.worker_database())) as admin:
        tables = _names(admin, TABLES)
        admin.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")
        admin.execute("SET session_replication_role = replica")  # neither foreign keys nor triggers
        filled = [f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in tables]
        for name in _names(admin, " UNION ALL ".join(filled)):
            admin.execute(f"DELETE FROM {name}")
        admin.execute(RESTART_SEQUENCES)


TABLES = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'engine')
AND tablename NOT IN ('django_migrations', 'django_content_type', 'auth_permission')"""
RESTART_SEQUENCES = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences
WHERE schemaname IN ('public', 'engine') AND last_value IS NOT NULL
AND sequencename NOT IN ('django_migrations_id_seq', 'django_content_type_id_seq', 'auth_permission_id_seq')"""


def _names(admin: psycopg.Connection, query: str) -> list[str]:
    return [name for (name,) in admin.execute(query).fetchall()]


@pytest.fixture(scope="session")
def first_start() -> Iterator[starting.FirstStart]:
    """`make up` in a copy of this tree, shared by all tests that need it; LONGEST decides which one stops it."""
    with starting.first_start() as started:
        yield started


# These run first, so that no process is left alone with a long one at the end. The first three share `make up`, and
# the last of them stops it.
LONGEST = (
    *("tests/journeys/test_first_page.py", "tests/journeys/test_identity.py"),
    "tests/local/test_make_up.py",
    *("tests/orgs/test_state_machine.py", "tests/engine/runs/", "tests/runs/", "tests/engine/"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first."""
    items.sort(key=lambda item: _place(item.nodeid))


def _place(nodeid: str) -> int:
    return next((n for n, start in enumerate(LONGEST) if nodeid.startswith(start)), len(LONGEST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seeds of random tests, because parallel processes cannot print them."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    seeds = {
        (report.nodeid, name, value)
        for report in reports
        if isinstance(report, pytest.TestReport)
        for name, value in report.user_properties
        if name.endswith("_SEED")
    }
    for node, name, value in sorted(seeds):
        terminalreporter.line(f"{name}={value}  {node}")
