"""A PostgreSQL server for one test, which can be killed without affecting other tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connections

from config import env
from local.database.postgres import EmbeddedPostgres
from tests.conftest import close_connections
from tests.database import TEMPLATE, start_migrated

DATABASE = "drover"


class OwnServer:
    """A running server. This process, and processes that it starts later, use the server."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self.postgres = postgres
        self.url = postgres.url(DATABASE)

    def admin_url(self, database: str = DATABASE) -> str:
        """Return the administrator's URL of a database of this server."""
        return self.postgres.url(database)

    @property
    def is_up(self) -> bool:
        process = self.postgres.process
        return process is not None and process.poll() is None

    def kill(self) -> None:
        """Kill the server with SIGKILL, which ends every connection."""
        process = self.postgres.process
        assert process is not None
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL

    def restart(self) -> None:
        """Start the server again with its committed data, and close the broken connections of this process."""
        self.postgres.start()
        close_connections()

    @property
    def log(self) -> str:
        """Return the text of the server's log."""
        return self.postgres.log_file.read_text()

    @property
    def has_recovered(self) -> bool:
        """Return whether the server has recovered after it was killed."""
        return self.recovery_count > 0

    @property
    def recovery_count(self) -> int:
        """Return how often the server has recovered after it, or one of its backend processes, was killed."""
        return self.log.count("was not properly shut down")


@contextmanager
def own_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnServer]:
    """Start a server with a migrated database, which this process uses until the block ends."""
    with migrated_server(folder) as server, using_database(server.url, monkeypatch):
        yield server


@contextmanager
def migrated_server(folder: Path) -> Iterator[OwnServer]:
    """Start a server with a migrated database. Its commits are durable, so that they survive a kill."""
    folder.chmod(0o711)
    postgres = EmbeddedPostgres(folder / "pg")
    start_migrated(postgres)
    try:
        with psycopg.connect(postgres.url(), autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {TEMPLATE} RENAME TO {DATABASE}")
        yield OwnServer(postgres)
    finally:
        postgres.delete()


@contextmanager
def using_database(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process and its children use the database of this URL until the block ends."""
    close_connections()
    default_settings = env.database_settings(env.role_url(url, settings.SECRET_KEY, "app_user"))
    engine_url = env.role_url(url, settings.SECRET_KEY, "app_engine")
    with monkeypatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        patch.setattr(settings, "ENGINE_DATABASE_URL", engine_url)
        for name, value in default_settings.items():
            patch.setitem(connections.settings["default"], name, value)
        try:
            yield
        finally:
            close_connections()
