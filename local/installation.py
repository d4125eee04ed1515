"""Prepare a home, so that Drover's programs can use it."""

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
from local.lost_database import DatabaseMonitor
from local.ports import reserve_port
from local.supervision.server import WatchedServer
from local.supervision.supervisor import Supervisor
from local.terminal import phase, say

# Small values, because PostgreSQL and all other processes of `make up` share one machine.
SERVER_OPTIONS = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "wal_compression": "on",
    "log_min_messages": "warning",
}


MAX_ATTEMPTS = 5  # for a step that loses the database
# Prefixes of variables that programs do not inherit, because they read these keys from the home's files.
KEY_PREFIXES = ("SECRET_KEY", "ENCRYPTION_KEYS", "API_KEY_PEPPER")


class Installation:
    """Creates the keys, database and tables of a home, and runs its programs.

    `database_url` is the administrator's URL of an existing server, or empty to use the embedded server. `port` is the
    port of the web server.
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

    def prepare_all(self) -> None:
        """Create missing keys, and prepare server, database, roles and tables."""
        created = ensure_keys(self.home.keys)
        if created:
            say(f"  Keys generated in {self.home.keys}")
        self._start_database()
        with phase("Database and roles"):
            self.run_prepare("database")
        write_private(self.home.addresses, json.dumps(self._addresses()) + "\n")
        with phase("Migrations"):
            self.run_manage("migrate", "--no-input", "--verbosity", "0", role="owner")
            self.run_prepare("engine")

    def reserve_port(self, name: str) -> int:
        """Return the port of a part of this installation. The next start uses the same port if it is free."""
        return reserve_port(self.home.runtime_folder / "ports.json", name)

    def environment(self) -> dict[str, str]:
        """Return the environment of the programs. It does not contain the administrator's password."""
        own_variables = {
            "DROVER_HOME": str(self.home.root),
            "PYTHONUNBUFFERED": "1",
        } | self._addresses()
        return {k: v for k, v in os.environ.items() if not _is_managed(k)} | own_variables

    def _addresses(self) -> dict[str, str]:
        """Return the URLs of database and dashboard."""
        database_url = without_credentials(self.admin_url)
        return {"DATABASE_URL": database_url, "DROVER_PUBLIC_URL": self.url, "PORT": str(self.port)}

    def run_manage(
        self,
        command: str,
        *arguments: str,
        role: str = "user",
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Run a command of manage.py to its end. Raises LocalError if it fails."""
        self._run(
            ["manage.py", command, *arguments],
            {"DROVER_DB_ROLE": role, **(env or {})},
            step=f"manage.py {command}",
            log=f"{command}.log",
        )

    def run_prepare(self, step: str) -> None:
        """Run a step of `local.prepare`. Only these steps receive the administrator's URL."""
        self._run(
            ["-m", "local.prepare", step],
            {"DATABASE_URL": self.admin_url},
            step=f"Preparing the {step}",
            log="prepare.log",
        )

    def _run(self, arguments: list[str], env: Mapping[str, str], *, step: str, log: str) -> None:
        command: list[str | Path] = [sys.executable, *arguments]
        path = self.home.logs / log
        if not self.database_monitor.was_seen:
            self.database_monitor.check()
        for attempts_left in reversed(range(MAX_ATTEMPTS)):
            try:
                self.supervisor.run(command, self.environment() | dict(env), step=step, log=path)
            except LocalError as failure:
                is_lost = isinstance(failure, DatabaseLost) or self.database_monitor.was_lost()
                if not is_lost or not attempts_left:
                    raise
                self.database_monitor.wait(self._pause)
                say(f"  {step} lost the connection to the database and is repeated.")
            else:
                return

    def _pause(self) -> None:
        self.supervisor.watch()  # This restarts the embedded server if it has stopped.
        self.supervisor.sleep_until_event(0.5)

    @functools.cached_property
    def database_monitor(self) -> DatabaseMonitor:
        """The monitor of the database. Use it after the database's URL is known."""
        return DatabaseMonitor(self.admin_url)

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
    """Return a database URL without credentials. Each program adds those of its own role."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def embedded_server(home: Home) -> EmbeddedPostgres:
    """Return the home's embedded server, which is not started here.

    Do not call this while the server is running: its port would look occupied, and another one would be chosen.
    """
    return EmbeddedPostgres(
        home.cluster,
        port=reserve_port(home.runtime_folder / "ports.json", "postgres"),
        options=SERVER_OPTIONS,
        password_file=home.keys / "db_password",
        log_file=home.logs / "postgres.log",
    )


def _is_managed(name: str) -> bool:
    """Whether a variable of the caller's environment is not passed to the programs.

    Its value could contradict the home's.
    """
    return name in ("DROVER_DB_ROLE", "DJANGO_SETTINGS_MODULE") or name.startswith(KEY_PREFIXES)
