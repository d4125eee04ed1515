"""The suite's PostgreSQL: one server per session, one template built by app_owner, one database per worker.

Loaded with `-p tests.database` before Django reads its settings. Tests connect as app_user, so row-level
security applies in all of them: a suite that connects as a superuser would prove nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from apps.background.private import restrict_umask
from local.database.postgres import EmbeddedPostgres
from local.database.roles import prepare_database
from local.home import CHECKOUT
from local.toolbox import TOOLS, fingerprint

TEMPLATE = "drover_template"
ADMIN = "DROVER_TEST_ADMIN_URL"  # URL of the server; set by the controller, read by its workers
CLUSTERS = (
    TOOLS / "test-clusters"
)  # migrated clusters, each named after the files it was built from
UNUSED_DAYS = 2  # age after which a cluster, of 50 MB, is removed
MADE_FROM = (
    *("apps/*/migrations/*.*", "apps/*/models.py", "apps/**/*.sql"),
    *("apps/orgs/walls/rls.py", "apps/orgs/walls/sql_functions.py"),
    *("apps/engine/sync/state.py", "local/database/roles.py", "local/database/postgres.py"),
    *("tests/database.py", "requirements-dev.lock"),
)

_server: EmbeddedPostgres | None = None
_home: tempfile.TemporaryDirectory[str] | None = None


def _start() -> None:
    global _server, _home
    _home = tempfile.TemporaryDirectory(prefix="drover-tests-")
    Path(_home.name).chmod(
        0o711
    )  # as root the server runs as another user, who must be able to enter
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
    start_migrated(_server)
    os.environ[ADMIN] = _server.url("{database}")


def start_migrated(server: EmbeddedPostgres) -> None:
    """Start it with a migrated TEMPLATE; a cluster of an earlier session is copied if its input files have not
    changed.
    """
    sources = sorted({path for pattern in MADE_FROM for path in CHECKOUT.glob(pattern)})
    cached = CLUSTERS / fingerprint(sources)[:16]
    may_copy = server.account.reaches(server.data_dir.parent)
    if may_copy and cached.is_dir():
        os.utime(cached)
        _copy(cached / "data", server.data_dir)
        _copy(cached / "password", server.password_file)
    else:
        _migrate(server)
        if may_copy:
            _keep(server, cached)
    server.start()


def _migrate(server: EmbeddedPostgres) -> None:
    with server:
        url = server.url(TEMPLATE)
        prepare_database(url, os.environ["SECRET_KEY"])
        migrate(url)
        _manage(url, "shell", "--verbosity", "0", "-c", INSTALL_ENGINE_STATE)


def _keep(server: EmbeddedPostgres, cached: Path) -> None:
    draft = CLUSTERS / f"draft-{os.getpid()}"
    draft.mkdir(parents=True, mode=0o700)
    _copy(server.data_dir, draft / "data")
    _copy(server.password_file, draft / "password")
    try:
        draft.rename(cached)
    except OSError:  # another session was faster
        shutil.rmtree(draft)
    for old in CLUSTERS.iterdir():
        if time.time() - old.stat().st_mtime > UNUSED_DAYS * 86_400:
            shutil.rmtree(old)


def _copy(source: Path, target: Path) -> None:
    """Copy with owners: as root the server's files belong to another user."""
    subprocess.run(["cp", "-a", source, target], check=True)


INSTALL_ENGINE_STATE = """
from django.conf import settings
from config import env
from apps.engine.sync.state import install
install(env.role_url(settings.DATABASE_URL, settings.SECRET_KEY, "app_owner"), role="app_engine")
"""


def url_of(database: str) -> str:
    """The administrator's URL of one database of the suite's server."""
    return os.environ[ADMIN].replace("{database}", database).replace("%7Bdatabase%7D", database)


def worker_database() -> str:
    return "test_" + os.environ.get("PYTEST_XDIST_WORKER", "main")


def create_worker_database() -> None:
    """Create a copy of the template, in a fraction of a second."""
    with psycopg.connect(url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {worker_database()} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {worker_database()} TEMPLATE {TEMPLATE}")
    prepare_database(url_of(worker_database()), os.environ["SECRET_KEY"])


def migrate(url: str, *target: str) -> None:
    """Migrate to the newest migrations, or to a target: an app and a migration of it."""
    _manage(url, "migrate", *target, "--verbosity", "0")


def _manage(url: str, *arguments: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url, "DROVER_DB_ROLE": "owner"}
    subprocess.run(
        [sys.executable, CHECKOUT / "manage.py", *arguments], env=environment, check=True
    )


restrict_umask()  # like every process of Drover, because `doctor` checks the home's modes
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
