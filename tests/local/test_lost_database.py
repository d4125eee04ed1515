"""A database that disappears while Drover starts: the start waits and continues. Real programs, real server."""

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

from local.database.postgres import EmbeddedPostgres, free_port
from local.errors import LocalError
from local.lost_database import DATABASE_LOST, Presence, is_lost
from tests.runs.own_server import migrated_server

ROOT = Path(__file__).resolve().parents[2]
PREPARE = """
import os
import sys
from pathlib import Path
from local.home import Home
from local.installation import Installation
from local.keys import write_private
from local.supervision.supervisor import Supervisor

home = Home(Path(sys.argv[1]))
home.make()
write_private(home.keys / "secret_key", os.environ["SECRET_KEY"])  # the roles of that server are there already
with Supervisor() as supervisor:
    Installation(home, supervisor, database_url=sys.argv[2], port=1).make_ready()
"""


@pytest.fixture
def server(shared_server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A server that may be stopped."""
    yield shared_server
    if shared_server.process is None:
        shared_server.start()


@contextmanager
def preparing(address: str) -> Iterator[subprocess.Popen[bytes]]:
    """The part of `make up` that uses its database."""
    with tempfile.TemporaryDirectory(prefix="drover-away-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", PREPARE, folder, address],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def until(process: subprocess.Popen[bytes], said: str) -> str:
    """Read the output up to these words. Fails if it ends before."""
    assert process.stdout is not None
    heard = ""
    while said not in heard:
        chunk = os.read(process.stdout.fileno(), 4096).decode()
        assert chunk, f"not a word of {said!r}: {heard}"
        heard += chunk
    return heard


@contextmanager
def held_migrations(address: str) -> Iterator[Callable[[], None]]:
    """One migration is left to apply, and another session delays it; yields a function that waits for that."""
    with (
        closing(psycopg.connect(address, autocommit=True)) as watching,
        closing(psycopg.connect(address)) as holder,
    ):
        watching.execute("DROP TABLE django_session")
        watching.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        holder.execute("LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")

        def until_somebody_waits() -> None:
            deadline = time.monotonic() + 120
            while not watching.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount:
                assert time.monotonic() < deadline, "nobody migrates"
                time.sleep(0.02)

        yield until_somebody_waits


def test_a_start_waits_for_a_database_that_went_away() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="drover-own-") as folder,
        migrated_server(Path(folder)) as server,
        held_migrations(server.url) as until_it_migrates,
        preparing(server.url) as process,
    ):
        until_it_migrates()
        server.kill()
        until(process, "waiting for it")
        server.start_again()
        until(process, "is available again")
        assert process.wait(120) == 0
        with psycopg.connect(server.url) as connection:
            row = connection.execute("SELECT count(*) FROM django_session").fetchone()
        assert row == (0,)


def test_a_server_that_was_never_seen_is_not_waited_for() -> None:
    presence = Presence(f"postgresql://me@127.0.0.1:{free_port()}/drover")
    presence.wait(lambda: pytest.fail("it waits"))
    assert not presence.was_lost()


def test_a_server_that_does_not_come_back_is_a_sentence(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.lost_database.PATIENCE", 0.0)
    presence = Presence(server.url())
    assert presence.look()
    server.stop()
    assert presence.was_lost()
    with pytest.raises(LocalError, match="was not available"):
        presence.wait(lambda: None)


def test_a_server_that_was_away_for_a_moment_is_noticed(server: EmbeddedPostgres) -> None:
    presence = Presence(server.url())
    assert presence.look()
    assert not presence.was_lost()
    server.stop()
    server.start()
    assert presence.was_lost()
    assert not presence.was_lost()


def test_a_program_reports_a_lost_database(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url()) as lost:
        server.stop()
        with pytest.raises(psycopg.OperationalError) as caught:
            lost.execute("SELECT 1")
        assert is_lost(caught.value)
        assert is_lost(wrapped(caught.value))
    assert not is_lost(psycopg.errors.DiskFull())
    assert not is_lost(ValueError())
    assert DATABASE_LOST not in {1, 2, 3}  # another exit code of Drover's programs


def wrapped(error: Exception) -> Exception:
    try:
        raise RuntimeError("Django's own") from error
    except RuntimeError as outer:
        return outer
