"""A database that goes away while Drover starts: the start waits and goes on. Real programs, real server."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from local.away import AWAY, Presence, is_away
from local.errors import LocalError
from local.postgres import EmbeddedPostgres, free_port, temporary_postgres

ROOT = Path(__file__).resolve().parents[2]
PREPARE = """
import sys
from pathlib import Path
from local.home import Home
from local.installation import Installation
from local.supervisor import Supervisor

home = Home(Path(sys.argv[1]))
home.make()
with Supervisor() as supervisor:
    Installation(home, supervisor, database_url=sys.argv[2], port=1).make_ready()
"""


@contextmanager
def preparing(server: EmbeddedPostgres) -> Iterator[subprocess.Popen[bytes]]:
    """`make up` as far as its database is concerned."""
    with tempfile.TemporaryDirectory(prefix="drover-away-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", PREPARE, folder, server.url("drover")],
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
    """What it says up to these words. Fails when it ends without them."""
    assert process.stdout is not None
    heard = ""
    while said not in heard:
        chunk = os.read(process.stdout.fileno(), 4096).decode()
        assert chunk, f"not a word of {said!r}: {heard}"
        heard += chunk
    return heard


def test_a_start_waits_for_a_database_that_went_away() -> None:
    with temporary_postgres() as server, preparing(server) as process:
        until(process, "Migrations")
        server.stop()
        until(process, "waiting for it")
        server.start()
        until(process, "is back")
        assert process.wait(120) == 0
        with psycopg.connect(server.url("drover")) as connection:
            row = connection.execute("SELECT count(*) > 50 FROM django_migrations").fetchone()
        assert row == (True,)


def test_a_server_that_was_never_seen_is_not_waited_for() -> None:
    presence = Presence(f"postgresql://me@127.0.0.1:{free_port()}/drover")
    presence.wait(lambda: pytest.fail("it waits"))
    assert not presence.went_away()


def test_a_server_that_does_not_come_back_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.away.PATIENCE", 0.0)
    with temporary_postgres() as server:
        presence = Presence(server.url())
        assert presence.look()
        server.stop()
        assert presence.went_away()
        with pytest.raises(LocalError, match="has not come back"):
            presence.wait(lambda: None)


def test_a_server_that_was_away_for_a_moment_is_noticed() -> None:
    with temporary_postgres() as server:
        presence = Presence(server.url())
        assert presence.look()
        assert not presence.went_away()
        server.stop()
        server.start()
        assert presence.went_away()
        assert not presence.went_away()


def test_a_program_says_that_it_lost_the_database() -> None:
    with temporary_postgres() as server, psycopg.connect(server.url()) as lost:
        server.stop()
        with pytest.raises(psycopg.OperationalError) as caught:
            lost.execute("SELECT 1")
        assert is_away(caught.value)
        assert is_away(wrapped(caught.value))
    assert not is_away(psycopg.errors.DiskFull())
    assert not is_away(ValueError())
    assert AWAY not in {1, 2, 3}  # what else programs of Drover end with


def wrapped(error: Exception) -> Exception:
    try:
        raise RuntimeError("Django's own") from error
    except RuntimeError as outer:
        return outer
