"""Fixtures of the whole suite: the worker's database, orgs with one member per role, and clients."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.hashers import BCryptSHA256PasswordHasher
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django.plugin import DjangoDbBlocker
from whitenoise.middleware import WhiteNoiseMiddleware

from apps.auth import keys
from tests import database, name_server
from tests.first_start import FirstStart, start_demo
from tests.name_server import NameServer
from tests.threads import used_connections, wait_for_returned_connections
from tests.world import World, make_world

# With the default thresholds, garbage collection takes 5 % of the suite's time.
gc.set_threshold(100_000, 20, 100)

# A slow machine must not make a test fail. In CI the examples are always the same, so a failure comes from the change.
hypothesis.settings.register_profile(
    "drover",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("drover")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a value of bytes after its argument. Compressed bytes contain a timestamp, but all parallel processes must
    use the same names.
    """
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def cheap_bcrypt() -> Iterator[None]:
    """Use the same hash with fewer rounds. With the real cost, bcrypt would take half of the suite's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BCryptSHA256PasswordHasher, "rounds", 4)
        patch.setattr(keys, "BCRYPT_COST", 4)
        yield


@pytest.fixture(scope="session", autouse=True)
def static_files_are_listed_once() -> Iterator[None]:
    """Let all test clients share one list of the static files. Otherwise each new client would read all of them."""
    list_files: Callable[[WhiteNoiseMiddleware], None] = WhiteNoiseMiddleware.add_files_from_finders
    files: dict[str, Any] = {}

    def add_listed_files(middleware: WhiteNoiseMiddleware) -> None:
        if not files:
            list_files(middleware)
            files.update(middleware.files)
        middleware.files.update(files)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", add_listed_files)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Replace pytest-django's fixture. The role app_owner creates the template; tests connect as app_user."""
    database.create_process_database()
    for database_settings in connections.settings.values():
        # A test is one transaction, and the transaction is idle while the test computes or waits for other processes.
        database_settings["OPTIONS"]["options"] = "-c idle_in_transaction_session_timeout=10min"
    yield
    with django_db_blocker.unblock():
        close_connections()


def close_connections() -> None:
    for connection in connections.all(initialized_only=True):
        connection.close()
        if isinstance(connection, DatabaseWrapper):
            connection.close_pool()


def return_connections() -> None:
    """Return this thread's connections to the pool, in which they stay open for the next test."""
    for connection in connections.all(initialized_only=True):
        connection.close()


@pytest.fixture(scope="session", autouse=True)
def _name_server() -> Iterator[NameServer]:
    """Start a name server for the tests, so that none of them queries the machine's name servers."""
    with name_server.run_name_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "DNS_SERVERS", [server.address])
        yield server


@pytest.fixture
def dns(_name_server: NameServer) -> NameServer:
    """The tests' name server, without any records."""
    _name_server.clear()
    return _name_server


@pytest.fixture
def world(db: None) -> World:
    """One org with an owner, admin, member and viewer; rolled back after the test."""
    return make_world()


@pytest.fixture
def stranger(db: None) -> World:
    """Another org. Its members must never see the org of `world`."""
    return make_world()


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Allow real commits, for tests whose other processes or connections must see the rows.

    The tables are emptied afterwards.
    """
    with django_db_blocker.unblock():
        return_connections()
        used_before = used_connections()
        yield
        return_connections()
        empty_database()
        used = wait_for_returned_connections(used_before)
    assert used <= used_before, "A thread of the test kept its connection: use DatabaseThread."


def empty_database() -> None:
    """Empty the tables as the administrator, after waiting for the writes of other processes.

    DELETE is used because TRUNCATE would create hundreds of files each time.
    """
    admin = database.administrator()
    with admin.transaction():
        tables = _query_names(admin, TABLES_QUERY)
        admin.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")
        admin.execute(
            "SET LOCAL session_replication_role = replica"
        )  # disables foreign keys and triggers
        for name in _non_empty(admin, tables):
            admin.execute(f"DELETE FROM {name}")
        admin.execute(RESTART_SEQUENCES)


def non_empty_tables(admin: psycopg.Connection) -> list[str]:
    """Return the tables with rows that a test has inserted."""
    return _non_empty(admin, _query_names(admin, TABLES_QUERY))


def _non_empty(admin: psycopg.Connection, tables: list[str]) -> list[str]:
    queries = [f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in tables]
    return _query_names(admin, " UNION ALL ".join(queries))


TABLES_QUERY = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'engine', 'agent')
AND tablename NOT IN ('django_migrations', 'django_content_type', 'auth_permission', 'checkpoint_migrations')"""
RESTART_SEQUENCES = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences
WHERE schemaname IN ('public', 'engine') AND last_value IS NOT NULL
AND sequencename NOT IN ('django_migrations_id_seq', 'django_content_type_id_seq', 'auth_permission_id_seq')"""


def _query_names(admin: psycopg.Connection, query: str) -> list[str]:
    return [name for (name,) in admin.execute(query).fetchall()]


@pytest.fixture(scope="session")
def first_start() -> Iterator[FirstStart]:
    """Run `make up` in a copy of this tree, once for all tests. The last test that uses the demo stops it."""
    with start_demo() as started:
        yield started


# Long tests run first, so that at the end no process runs a long test while the other processes have nothing to do.
LONGEST_TESTS = (
    "tests/local/test_make_up.py",
    *("tests/orgs/test_state_machine.py", "tests/engine/runs/", "tests/runs/", "tests/engine/"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests with the demo one after the other, so that only one process starts it, and then the long tests."""
    _mark_cases_outside_of_samples(items)
    items.sort(key=_position)


def _mark_cases_outside_of_samples(items: list[pytest.Item]) -> None:
    """Give the marker `long` to all but every n-th case of a test with the marker `sample(n)`."""
    counted_cases: Counter[str] = Counter()
    for item in items:
        sample = item.get_closest_marker("sample")
        if sample is None or item.get_closest_marker("long") is not None:
            continue
        test = item.nodeid.partition("[")[0]
        if counted_cases[test] % sample.args[0]:
            item.add_marker(pytest.mark.long)
        counted_cases[test] += 1


def pytest_collection_finish() -> None:
    """Let the garbage collector ignore the modules and tests, which live until the end and are half a million objects."""
    gc.freeze()


def _position(item: pytest.Item) -> tuple[bool, bool, int]:
    uses_demo = "first_start" in getattr(item, "fixturenames", ())
    stops_demo = item.nodeid.startswith("tests/local/test_make_up.py")
    length = next(
        (n for n, start in enumerate(LONGEST_TESTS) if item.nodeid.startswith(start)),
        len(LONGEST_TESTS),
    )
    return not uses_demo, stops_demo, length


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seeds of random tests here, because parallel processes cannot print them."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    seeds = {
        (report.nodeid, name, value)
        for report in reports
        if isinstance(report, pytest.TestReport)
        for name, value in report.user_properties
        if name.endswith("_SEED")
    }
    for node, name, value in sorted(seeds):
        terminalreporter.line(f"{name}={value}  {node}")
