"""One home brought to the point where Drover's programs can run on it."""

import functools
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from local.away import Presence
from local.database.postgres import EmbeddedPostgres
from local.errors import DatabaseAway, LocalError
from local.home import Home
from local.keys import ensure_keys, write_private
from local.ports import kept_port
from local.supervision.supervisor import Supervisor
from local.terminal import phase, say

# Small: everything that `make up` starts shares one laptop.
SERVER_OPTIONS = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "wal_compression": "on",
    "log_min_messages": "warning",
}


TRIES = 5  # of a step that loses the database
KEYS = ("SECRET_KEY", "ENCRYPTION_KEYS", "API_KEY_PEPPER")  # read from the home's files only


class Installation:
    """Keys, database and schema of a home, and how its programs are run.

    `database_url` is the administrator's address of a server that exists; empty for one of our own.
    `port` is the product's, for the addresses it writes down.
    """

    def __init__(self, home: Home, supervisor: Supervisor, *, database_url: str, port: int) -> None:
        self.home = home
        self.supervisor = supervisor
        self.admin_url = database_url
        self.port = port

    @property
    def url(self) -> str:
        """Where the dashboard is."""
        return f"http://localhost:{self.port}"

    def make_ready(self) -> None:
        """Keys, server, database, roles, tables; quick when all of it is there already."""
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
        """The port of a part of this installation, the same at the next start."""
        return kept_port(self.home.run / "ports.json", name)

    def environment(self) -> dict[str, str]:
        """What the programs see: the database's place, without the administrator's password."""
        names = {"DROVER_HOME": str(self.home.root), "PYTHONUNBUFFERED": "1"} | self._addresses()
        return {k: v for k, v in os.environ.items() if not _is_ours_to_say(k)} | names

    def _addresses(self) -> dict[str, str]:
        """Where database and dashboard are."""
        place = without_credentials(self.admin_url)
        return {"DATABASE_URL": place, "DROVER_PUBLIC_URL": self.url, "PORT": str(self.port)}

    def manage(
        self, command: str, *words: str, role: str = "user", env: Mapping[str, str] | None = None
    ) -> None:
        """Run a command of manage.py to its end. Raises LocalError when it fails."""
        self._run(
            ["manage.py", command, *words],
            {"DROVER_DB_ROLE": role, **(env or {})},
            doing=f"manage.py {command}",
            log=f"{command}.log",
        )

    def prepare(self, step: str) -> None:
        """Run a step of `local.prepare`, which alone is given the administrator's address."""
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
                lost = isinstance(failure, DatabaseAway) or self.presence.went_away()
                if not lost or not left:
                    raise
                self.presence.wait(self._rest)
                say(f"  {doing} lost the database; it is done again.")
            else:
                return

    def _rest(self) -> None:
        self.supervisor.watch()  # which starts our own server again
        self.supervisor.rest(0.5)

    @functools.cached_property
    def presence(self) -> Presence:
        """Of the database; asked for once its address is known."""
        return Presence(self.admin_url)

    def _start_database(self) -> None:
        if self.admin_url:
            say("  PostgreSQL of DATABASE_URL")
            return
        with phase("PostgreSQL"):
            server = embedded_server(self.home)
            server.stop_orphan()
            self.supervisor.server = server
            server.start()
        self.admin_url = server.url("drover")


def without_credentials(url: str) -> str:
    """A database's place, which is all that the programs need: each enters with its own role."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def embedded_server(home: Home) -> EmbeddedPostgres:
    """The home's own PostgreSQL, not started yet. While it runs, ask its note for the address instead."""
    return EmbeddedPostgres(
        home.cluster,
        port=kept_port(home.run / "ports.json", "postgres"),
        options=SERVER_OPTIONS,
        password_file=home.keys / "db_password",
        log_file=home.logs / "postgres.log",
    )


def _is_ours_to_say(name: str) -> bool:
    """Whether a variable of the caller must not reach the programs: it would contradict the home."""
    return name in ("DROVER_DB_ROLE", "DJANGO_SETTINGS_MODULE") or name.startswith(KEYS)
