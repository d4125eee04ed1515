"""If Drover loses its database during the start, the start waits and continues. The programs and servers are real."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from local.database.postgres import EmbeddedPostgres, find_free_port
from local.errors import LocalError
from local.lost_database import DATABASE_LOST_CODE, DatabaseMonitor, is_database_lost
from tests.runs.own_server import migrated_server

ROOT = Path(__file__).resolve().parents[2]
PREPARATION_CODE = """
import os
import sys
from pathlib import Path
from local.home import Home
from local.installation import Installation
from local.keys import write_private
from local.supervision.supervisor import Supervisor

home = Home(Path(sys.argv[1]))
home.create_folders()
write_private(home.keys / "secret_key", os.environ["SECRET_KEY"])  # The server has roles with passwords of this key.
with Supervisor() as supervisor:
    Installation(home, supervisor, database_url=sys.argv[2], port=1).prepare_all()
"""


@pytest.fixture
def server(shared_server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """Return a server that a test may stop. It is started again after the test."""
    yield shared_server
    if shared_server.process is None:
        shared_server.start()


@contextmanager
def run_preparation(address: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the part of `make up` that prepares the database, as a process."""
    with tempfile.TemporaryDirectory(prefix="drover-away-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", PREPARATION_CODE, folder, address],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def read_until(process: subprocess.Popen[bytes], text: str) -> str:
    """Read the output of the process until it contains the text, and return it."""
    assert process.stdout is not None
    output = ""
    while text not in output:
        chunk = os.read(process.stdout.fileno(), 4096).decode()
        assert chunk, f"the output ended without {text!r}: {output}"
        output += chunk
    return output


@contextmanager
def delay_migrations(address: str) -> Iterator[Callable[[], None]]:
    """Undo one migration, and lock the table that it needs.

    Yields a function that waits until the migration waits for the lock.
    """
    with (
        closing(psycopg.connect(address, autocommit=True)) as observer,
        closing(psycopg.connect(address)) as holder,
    ):
        observer.execute("DROP TABLE django_session")
        observer.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        holder.execute("LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")

        def wait_until_a_migration_waits() -> None:
            deadline = time.monotonic() + 120
            while not observer.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount:
                assert time.monotonic() < deadline, "no migration waits"
                time.sleep(0.02)

        yield wait_until_a_migration_waits


@pytest.mark.long
def test_a_start_waits_for_its_lost_database_and_continues() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="drover-own-") as folder,
        migrated_server(Path(folder)) as server,
        delay_migrations(server.url) as wait_until_a_migration_waits,
        run_preparation(server.url) as process,
    ):
        wait_until_a_migration_waits()
        server.kill()
        read_until(process, "waiting for it")
        server.restart()
        read_until(process, "is available again")
        assert process.wait(120) == 0
        with psycopg.connect(server.url) as connection:
            row = connection.execute("SELECT count(*) FROM django_session").fetchone()
        assert row == (0,)


def test_a_server_that_never_responded_is_not_waited_for() -> None:
    monitor = DatabaseMonitor(f"postgresql://me@127.0.0.1:{find_free_port()}/drover")
    monitor.wait(lambda: pytest.fail("It waits for the server."))
    assert not monitor.was_lost()


def test_a_server_that_stays_unavailable_is_reported(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.lost_database.MAX_WAIT_SECONDS", 0.0)
    monitor = DatabaseMonitor(server.url())
    assert monitor.check()
    server.stop()
    assert monitor.was_lost()
    with pytest.raises(LocalError, match="was not available"):
        monitor.wait(lambda: None)


def test_a_restart_of_the_server_is_detected(server: EmbeddedPostgres) -> None:
    monitor = DatabaseMonitor(server.url())
    assert monitor.check()
    assert not monitor.was_lost()
    server.stop()
    server.start()
    assert monitor.was_lost()
    assert not monitor.was_lost()


def test_a_lost_connection_is_distinguished_from_other_errors(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url()) as lost:
        server.stop()
        with pytest.raises(psycopg.OperationalError) as caught:
            lost.execute("SELECT 1")
        assert is_database_lost(caught.value)
        assert is_database_lost(wrap_error(caught.value))
    assert not is_database_lost(psycopg.errors.DiskFull())
    assert not is_database_lost(ValueError())
    assert DATABASE_LOST_CODE not in {
        1,
        2,
        3,
    }  # Drover's programs use these exit codes for other failures.


def wrap_error(error: Exception) -> Exception:
    try:
        raise RuntimeError("Django's own") from error
    except RuntimeError as outer:
        return outer
