"""The suite's PostgreSQL: one server a session, one template built by app_owner, one database a worker.

Loaded with `-p tests.database` before Django reads its settings. Tests connect as app_user, so row-level
security is on in every one of them: a suite that connects as a superuser proves nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from local.postgres import EmbeddedPostgres
from local.roles import prepare_database

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "drover_template"
ADMIN = "DROVER_TEST_ADMIN_URL"  # of the server; set by the controller, read by its workers

_server: EmbeddedPostgres | None = None
_home: tempfile.TemporaryDirectory[str] | None = None


def _start() -> None:
    global _server, _home
    _home = tempfile.TemporaryDirectory(prefix="drover-tests-")
    Path(_home.name).chmod(0o711)  # as root the server runs as another user, who must pass
    os.environ.update(
        DROVER_HOME=_home.name,
        SECRET_KEY="tests-only-" + "s" * 50,
        ENCRYPTION_KEYS="a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
        API_KEY_PEPPER="70" * 32,
        DROVER_LOG_LEVEL="WARNING",
    )
    _server = EmbeddedPostgres(
        Path(_home.name) / "pg", durable=False, options={"max_connections": "300"}
    )
    _server.start()
    os.environ[ADMIN] = _server.url("{database}")
    prepare_database(url_of(TEMPLATE), os.environ["SECRET_KEY"])
    _manage("migrate", "--verbosity", "0")
    _manage("shell", "--verbosity", "0", "-c", INSTALL_ENGINE_STATE)


INSTALL_ENGINE_STATE = """
from django.conf import settings
from config import env
from apps.engine.state import install
install(env.role_url(settings.DATABASE_URL, settings.SECRET_KEY, "app_owner"), role="app_engine")
"""


def url_of(database: str) -> str:
    """The administrator's address of one database of the suite's server."""
    return os.environ[ADMIN].replace("{database}", database).replace("%7Bdatabase%7D", database)


def worker_database() -> str:
    return "test_" + os.environ.get("PYTEST_XDIST_WORKER", "main")


def create_worker_database() -> None:
    """A copy of the template, made in a fraction of a second."""
    with psycopg.connect(url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {worker_database()} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {worker_database()} TEMPLATE {TEMPLATE}")
    prepare_database(url_of(worker_database()), os.environ["SECRET_KEY"])


def _manage(*arguments: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url_of(TEMPLATE), "DROVER_DB_ROLE": "owner"}
    subprocess.run([sys.executable, ROOT / "manage.py", *arguments], env=environment, check=True)


if ADMIN not in os.environ:
    _start()
os.environ["DATABASE_URL"] = url_of(worker_database())


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    if _server is not None:
        _server.delete()
    if _home is not None:
        _home.cleanup()
        os.environ.pop(ADMIN, None)
