"""The suite's PostgreSQL: one server per session, one template built by app_owner, one database per worker.

pytest loads this module with `-p tests.database`, before Django reads its settings. Tests connect as app_user, so
row-level security applies in all of them. It does not apply to superusers, so a superuser could not test it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import psycopg
import pytest

from apps.background.private import restrict_umask
from local.database.postgres import EmbeddedPostgres
from local.database.roles import prepare_database
from local.home import CHECKOUT
from local.prepare import create_engine_tables
from local.toolbox import TOOLS, fingerprint

TEMPLATE = "drover_template"
# The name of the environment variable with the server's URL. Pytest's main process sets it, and its workers read it.
ADMIN_URL_VARIABLE = "DROVER_TEST_ADMIN_URL"
# The folder of migrated clusters. Each one is named after a hash of the files in CLUSTER_SOURCES.
CLUSTER_CACHE = TOOLS / "test-clusters"
MAX_UNUSED_DAYS = 2  # an unused cluster is removed after this time, because it takes 50 MB
CLUSTER_SOURCES = (
    *("apps/*/migrations/*.*", "apps/*/models.py", "apps/**/*.sql"),
    *("apps/orgs/walls/rls.py", "apps/orgs/walls/sql_functions.py"),
    *("apps/engine/sync/state.py", "local/database/roles.py", "local/database/postgres.py"),
    *("tests/database.py", "requirements-dev.lock"),
)

_server: EmbeddedPostgres | None = None
_home_folder: tempfile.TemporaryDirectory[str] | None = None


def _start_server() -> None:
    global _server, _home_folder
    _home_folder = tempfile.TemporaryDirectory(prefix="drover-tests-")
    # If tests run as root, the server runs as another user, which must be able to enter this folder.
    Path(_home_folder.name).chmod(0o711)
    os.environ.update(
        DROVER_HOME=_home_folder.name,
        SECRET_KEY="tests-only-" + "s" * 50,
        ENCRYPTION_KEYS="a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
        API_KEY_PEPPER="70" * 32,
        DROVER_LOG_LEVEL="WARNING",
    )
    _server = EmbeddedPostgres(
        Path(_home_folder.name) / "pg", durable=False, options={"max_connections": "300"}
    )
    start_migrated(_server)
    os.environ[ADMIN_URL_VARIABLE] = _server.url("{database}")


def start_migrated(server: EmbeddedPostgres) -> None:
    """Start the server with a migrated TEMPLATE.

    Copies the cluster of an earlier session if its source files have not changed.
    """
    source_files = sorted({path for pattern in CLUSTER_SOURCES for path in CHECKOUT.glob(pattern)})
    cached_cluster = CLUSTER_CACHE / fingerprint(source_files)[:16]
    may_copy = server.account.can_enter(server.data_dir.parent)
    if may_copy and cached_cluster.is_dir():
        os.utime(cached_cluster)
        _copy_with_owners(cached_cluster / "data", server.data_dir)
        _copy_with_owners(cached_cluster / "password", server.password_file)
    else:
        _migrate(server)
        if may_copy:
            _save_to_cache(server, cached_cluster)
    server.start()


def _migrate(server: EmbeddedPostgres) -> None:
    with server:
        url = server.url(TEMPLATE)
        prepare_database(url, os.environ["SECRET_KEY"])
        migrate(url)
        create_engine_tables(url, os.environ["SECRET_KEY"])


def _save_to_cache(server: EmbeddedPostgres, cached_cluster: Path) -> None:
    unfinished = CLUSTER_CACHE / f"draft-{os.getpid()}"
    unfinished.mkdir(parents=True, mode=0o700)
    _copy_with_owners(server.data_dir, unfinished / "data")
    _copy_with_owners(server.password_file, unfinished / "password")
    try:
        unfinished.rename(cached_cluster)
    except OSError:  # another session has saved the same cluster meanwhile
        shutil.rmtree(unfinished)
    for old in CLUSTER_CACHE.iterdir():
        if time.time() - old.stat().st_mtime > MAX_UNUSED_DAYS * 86_400:
            shutil.rmtree(old)


def _copy_with_owners(source: Path, target: Path) -> None:
    """Copy a file or folder with its owners. If tests run as root, the server's files belong to another user."""
    subprocess.run(["cp", "-a", source, target], check=True)


def url_of(database: str) -> str:
    """The administrator's URL of one database of the suite's server."""
    return (
        os.environ[ADMIN_URL_VARIABLE]
        .replace("{database}", database)
        .replace("%7Bdatabase%7D", database)
    )


def process_database_name() -> str:
    """Return the name of the database of this pytest process."""
    return "test_" + os.environ.get("PYTEST_XDIST_WORKER", "main")


def create_process_database() -> None:
    """Create this database as a copy of the template, which takes a fraction of a second."""
    with psycopg.connect(url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {process_database_name()} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {process_database_name()} TEMPLATE {TEMPLATE}")
    prepare_database(url_of(process_database_name()), os.environ["SECRET_KEY"])


@cache
def administrator() -> psycopg.Connection:
    """Return a connection of the administrator to the database of this pytest process.

    It stays open, because each new connection costs the server 20 ms of processor time.
    """
    return psycopg.connect(url_of(process_database_name()), autocommit=True)


def migrate(url: str) -> None:
    """Migrate to the newest migrations."""
    _run_manage(url, "migrate", "--verbosity", "0")


def migrate_to(url: str, app: str, name: str) -> None:
    """Migrate to this migration of an older release.

    The command `migrate` only knows the squashed migration that replaces it.
    """
    _run_manage(url, "shell", "--verbosity", "0", "-c", MIGRATE_TO.format(target=(app, name)))


MIGRATE_TO = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
executor = MigrationExecutor(connection)
executor.loader.replace_migrations = False
executor.loader.build_graph()
executor.migrate([{target}])
"""


def _run_manage(url: str, *arguments: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url, "DROVER_DB_ROLE": "owner"}
    subprocess.run(
        [sys.executable, CHECKOUT / "manage.py", *arguments], env=environment, check=True
    )


restrict_umask()  # as in every process of Drover, because `doctor` checks the file modes in the home folder
if ADMIN_URL_VARIABLE not in os.environ:
    _start_server()
os.environ["DATABASE_URL"] = url_of(process_database_name())


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    if _server is not None:
        _server.delete()
    if _home_folder is not None:
        _home_folder.cleanup()
        os.environ.pop(ADMIN_URL_VARIABLE, None)
