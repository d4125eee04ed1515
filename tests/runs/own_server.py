"""A PostgreSQL of one test's own, to be killed without disturbing the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

from apps.engine import state
from config import env
from local.postgres import EmbeddedPostgres
from local.roles import prepare_database
from tests.conftest import close_connections
from tests.runs.processes import ROOT

DATABASE = "drover"


class OwnServer:
    """The server this process and those it starts now use."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres
        self.url = postgres.url(DATABASE)

    def admin_url(self, database: str = DATABASE) -> str:
        """The administrator's address of one of its databases."""
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
        """Back with all that was committed; this process forgets the connections that died."""
        self._postgres.start()
        close_connections()

    @property
    def log(self) -> str:
        """Everything the server said."""
        return self._postgres.log_file.read_text()

    @property
    def recovered(self) -> bool:
        """Whether it found at its start that it had been killed."""
        return self.recoveries > 0

    @property
    def recoveries(self) -> int:
        """How often it found that it, or one that served a session, had been killed."""
        return self.log.count("was not properly shut down")


@contextmanager
def own_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnServer]:
    """A migrated database on a fresh server; Django's connections point there meanwhile."""
    with migrated_server(folder) as server, pointed_at(server.url, monkeypatch):
        yield server


@contextmanager
def migrated_server(folder: Path) -> Iterator[OwnServer]:
    """Durable: what was committed must survive."""
    folder.chmod(0o711)
    with EmbeddedPostgres(folder / "pg") as postgres:
        url = postgres.url(DATABASE)
        prepare_database(url, settings.SECRET_KEY)
        environment = {**os.environ, "DATABASE_URL": url, "DROVER_DB_ROLE": "owner"}
        command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
        subprocess.run(command, env=environment, check=True)
        owner = env.role_url(url, settings.SECRET_KEY, "app_owner")
        state.install(owner, role="app_engine")
        yield OwnServer(postgres)


@contextmanager
def pointed_at(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    close_connections()
    user = env.database_parts(env.role_url(url, settings.SECRET_KEY, "app_user"))
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
