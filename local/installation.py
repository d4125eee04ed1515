"""Prepare a home so that Drover's programs can run on it."""

import functools
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from local.database.postgres import EmbeddedPostgres
from local.errors import DatabaseLost, LocalError
from local.home import Home
from local.keys import ensure_keys, write_private
from local.lost_database import Presence
from local.ports import kept_port
from local.supervision.server import WatchedServer
from local.supervision.supervisor import Supervisor
from local.terminal import phase, say

# Small values: everything that `make up` starts shares one laptop.
SERVER_OPTIONS = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "wal_compression": "on",
    "log_min_messages": "warning",
}


TRIES = 5  # attempts of a step that loses the database
KEYS = ("SECRET_KEY", "ENCRYPTION_KEYS", "API_KEY_PEPPER")  # read from the home's files only


class Installation:
    """The keys, database and schema of a home, and how its programs are run.

    `database_url` is the administrator's URL of an existing server; empty for a private one. `port` is the web
    server's, for the URLs that are written down.
    """

    def __init__(self, home: Home, supervisor: Supervisor, *, database_url: str, port: int) -> None:
        self.home = home
        self.supervisor = supervisor
        self.admin_url = database_url
        self.port = port

    @property
    def url(self) -> str:
        """The URL of the dashboard."""
        return f"http://localhost:{self.port}"

    def make_ready(self) -> None:
        """Prepare keys, server, database, roles and tables; fast if they all exist."""
        made = ensure_keys(self.home.keys)
        if made:
            say(f"  Keys generated in {self.home.keys}")
        self._start_database()
        with phase("Database and roles"):
            self.prepare("database")
        write_private(self.home.addresses, json.dumps(self._addresses()) + "\n")
        with phase("Migrations"):
            self.manage("migrate", "--no-input", "--verbosity", "0", role="owner")
            self.prepare("engine")

    def kept_port(self, name: str) -> int:
        """Return the port of a part of this installation, the same at the next start."""
        return kept_port(self.home.run / "ports.json", name)

    def environment(self) -> dict[str, str]:
        """Return the environment of the programs: the database's URL, without the administrator's password."""
        names = {"DROVER_HOME": str(self.home.root), "PYTHONUNBUFFERED": "1"} | self._addresses()
        return {k: v for k, v in os.environ.items() if not _is_ours_to_say(k)} | names

    def _addresses(self) -> dict[str, str]:
        """Return the URLs of database and dashboard."""
        place = without_credentials(self.admin_url)
        return {"DATABASE_URL": place, "DROVER_PUBLIC_URL": self.url, "PORT": str(self.port)}

    def manage(
        self, command: str, *words: str, role: str = "user", env: Mapping[str, str] | None = None
    ) -> None:
        """Run a command of manage.py to its end. Raises LocalError if it fails."""
        self._run(
            ["manage.py", command, *words],
            {"DROVER_DB_ROLE": role, **(env or {})},
            doing=f"manage.py {command}",
            log=f"{command}.log",
        )

    def prepare(self, step: str) -> None:
        """Run a step of `local.prepare`; only these get the administrator's URL."""
        self._run(
            ["-m", "local.prepare", step],
            {"DATABASE_URL": self.admin_url},
            doing=f"Preparing the {step}",
            log="prepare.log",
        )

    def _run(self, words: list[str], env: Mapping[str, str], *, doing: str, log: str) -> None:
        command: list[str | Path] = [sys.executable, *words]
        path = self.home.logs / log
        if not self.presence.was_seen:
            self.presence.look()
        for left in reversed(range(TRIES)):
            try:
                self.supervisor.run(command, self.environment() | dict(env), doing=doing, log=path)
            except LocalError as failure:
                lost = isinstance(failure, DatabaseLost) or self.presence.was_lost()
                if not lost or not left:
                    raise
                self.presence.wait(self._rest)
                say(f"  {doing} lost the database; it is repeated.")
            else:
                return

    def _rest(self) -> None:
        self.supervisor.watch()  # starts our own server again
        self.supervisor.rest(0.5)

    @functools.cached_property
    def presence(self) -> Presence:
        """Return the presence check of the database; it is called once its URL is known."""
        return Presence(self.admin_url)

    def _start_database(self) -> None:
        if self.admin_url:
            say("  PostgreSQL of DATABASE_URL")
            return
        with phase("PostgreSQL"):
            server = embedded_server(self.home)
            server.stop_orphan()
            self.supervisor.server = WatchedServer(server)
            server.start()
        self.admin_url = server.url("drover")


def without_credentials(url: str) -> str:
    """Return a database URL without credentials: each program uses its own role."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def embedded_server(home: Home) -> EmbeddedPostgres:
    """Return the home's own PostgreSQL, not started yet. While it runs, read its URL from its file instead."""
    return EmbeddedPostgres(
        home.cluster,
        port=kept_port(home.run / "ports.json", "postgres"),
        options=SERVER_OPTIONS,
        password_file=home.keys / "db_password",
        log_file=home.logs / "postgres.log",
    )


def _is_ours_to_say(name: str) -> bool:
    """Whether a variable of the caller must not be passed to the programs, because it would contradict the home."""
    return name in ("DROVER_DB_ROLE", "DJANGO_SETTINGS_MODULE") or name.startswith(KEYS)
