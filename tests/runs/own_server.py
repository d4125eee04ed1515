"""A private PostgreSQL of one test, which may be killed without disturbing others."""

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
    """The server for this process and processes it starts now."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres
        self.url = postgres.url(DATABASE)

    def admin_url(self, database: str = DATABASE) -> str:
        """Return the administrator's URL of one of its databases."""
        return self._postgres.url(database)

    @property
    def is_up(self) -> bool:
        process = self._postgres.process
        return process is not None and process.poll() is None

    def kill(self) -> None:
        """kill -9; every session ends."""
        process = self._postgres.process
        assert process is not None
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL

    def start_again(self) -> None:
        """Start it again with everything that was committed; this process drops broken connections."""
        self._postgres.start()
        close_connections()

    @property
    def log(self) -> str:
        """Return the server's whole log."""
        return self._postgres.log_file.read_text()

    @property
    def recovered(self) -> bool:
        """Whether it detected at its start that it had been killed."""
        return self.recoveries > 0

    @property
    def recoveries(self) -> int:
        """Return how often it detected that it, or one of its session processes, had been killed."""
        return self.log.count("was not properly shut down")


@contextmanager
def own_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnServer]:
    """A migrated database on a new server; Django's connections use it meanwhile."""
    with migrated_server(folder) as server, pointed_at(server.url, monkeypatch):
        yield server


@contextmanager
def migrated_server(folder: Path) -> Iterator[OwnServer]:
    """Durable: committed data must survive."""
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
def pointed_at(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    close_connections()
    user = env.database_settings(env.role_url(url, settings.SECRET_KEY, "app_user"))
    engine = env.role_url(url, settings.SECRET_KEY, "app_engine")
    with monkeypatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        patch.setattr(settings, "ENGINE_DATABASE_URL", engine)
        for name, value in user.items():
            patch.setitem(connections.settings["default"], name, value)
        try:
            yield
        finally:
            close_connections()
