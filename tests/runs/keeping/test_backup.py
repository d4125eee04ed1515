"""The commands in docs/howto/backup.md move an installation to another home and server."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from django.conf import settings

from apps.auth.models import User
from apps.orgs.roles import Role
from apps.runs import execute
from apps.runs.execute import Worker
from config import env
from local.backups import databases
from local.database.postgres import EmbeddedPostgres
from local.errors import LocalError
from local.home import Home
from local.installation import embedded_server, without_credentials
from tests import database
from tests.engine.destinations.servers import BUCKET, s3_client
from tests.runs.conftest import make_pipeline
from tests.runs.keeping.test_storage import s3_storage
from tests.runs.processes import ROOT, running_worker, start_run
from tests.web_server import web_server
from tests.world import World

HOW_TO = ROOT / "docs" / "howto" / "backup.md"
PASSWORD = "correct horse battery staple"
# The owner and the privileges of each object, the policies, and the value of each sequence.
SELECT_CATALOGUE = """
SELECT n.nspname || '.' || c.relname, c.relkind::text, pg_get_userbyid(c.relowner),
       (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(c.relacl) a),
       c.relrowsecurity, pg_sequence_last_value(CASE c.relkind WHEN 'S' THEN c.oid END)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('public', 'engine')
UNION ALL
SELECT p.oid::regprocedure::text, 'function', pg_get_userbyid(p.proowner),
       (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(p.proacl) a), p.prosecdef, NULL
FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
UNION ALL
SELECT tablename || ': ' || policyname, 'policy', qual, roles::text[], with_check IS NULL, NULL FROM pg_policies
UNION ALL
SELECT defaclobjtype::text || defaclnamespace::regnamespace::text, 'default', pg_get_userbyid(defaclrole),
       (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(defaclacl) a), NULL, NULL FROM pg_default_acl
ORDER BY 1, 2, 3
"""


def documented_commands() -> dict[str, str]:
    """Return the commands in the how-to by their names."""
    blocks = re.findall(r"```sh\n(.*?)\n```", HOW_TO.read_text(), re.S)
    return {re.findall(r"manage\.py (\w+)", command)[0]: command for command in blocks}


def run_shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in the checkout. It inherits the environment except DATABASE_URL."""
    inherited_environment = {
        name: value for name, value in os.environ.items() if name != "DATABASE_URL"
    }
    return subprocess.run(
        ["/bin/sh", "-ec", command],
        cwd=ROOT,
        env=inherited_environment | environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="drover-backup-"))
    yield path
    EmbeddedPostgres(path / "new" / "pg").delete()
    shutil.rmtree(path)


@pytest.fixture
def orders_source(committed_db: None) -> Iterator[dict[str, Any]]:
    """Create a user's database with a table of orders. Return the settings of a connector for it."""
    with psycopg.connect(database.url_of("postgres"), autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
        admin.execute("CREATE DATABASE shop")
        add_orders(50)
        yield connector_settings(database.url_of("shop"))
        admin.execute("DROP DATABASE shop WITH (FORCE)")


def connector_settings(url: str) -> dict[str, Any]:
    parts = env.database_settings(url)
    return {
        "host": parts["HOST"],
        "port": int(parts["PORT"]),
        "database": parts["NAME"],
        "user": parts["USER"],
        "password": parts["PASSWORD"],
        "sslmode": "disable",
    }


def add_orders(count: int) -> None:
    with psycopg.connect(database.url_of("shop"), autocommit=True) as shop:
        shop.execute("CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, amount int)")
        shop.execute("INSERT INTO orders (amount) SELECT 7 FROM generate_series(1, %s)", [count])


def read_catalogue(url: str) -> list[Any]:
    with psycopg.connect(url) as admin:
        return admin.execute(SELECT_CATALOGUE).fetchall()


def row_counts(url: str) -> dict[str, int]:
    with psycopg.connect(url) as admin:
        names = admin.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('public', 'engine')"
        ).fetchall()
        return {
            name: admin.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # type: ignore[index]
            for (name,) in names
        }


@pytest.mark.long
def test_the_documented_commands_move_an_installation_to_another_home_and_server(
    acme: World, this_worker: Worker, orders_source: dict[str, Any], folder: Path
) -> None:
    owner = acme.users[Role.OWNER]
    owner.set_password(PASSWORD)
    owner.save()
    pipeline = make_pipeline(
        acme, source=orders_source, source_kind="postgres", stream="public.orders", table="orders"
    )
    make_append_only(acme, pipeline)
    first_run = start_run(acme, pipeline)
    execute.work_once(this_worker)
    add_orders(8)
    pending_run = start_run(acme, pipeline)  # its job is in the queue of the backup
    old_url = database.url_of(database.process_database_name())
    old_contents = (read_catalogue(old_url), row_counts(old_url))

    backup = run_shell(
        documented_commands()["backup"], HOME=str(folder), DATABASE_URL=without_credentials(old_url)
    )
    assert backup.returncode == 0, backup.stderr
    assert "Store the two files in different places" in backup.stdout
    file_modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert file_modes == {"drover.backup": 0o600, "drover.keys": 0o600}
    assert settings.ENCRYPTION_KEYS[0].encode() not in (folder / "drover.backup").read_bytes()

    home = Home(folder / "new")
    kill_during_restore(
        documented_commands()["restore"], HOME=str(folder), DROVER_HOME=str(home.root)
    )
    with pytest.raises(LocalError, match="was interrupted"):
        home.create_folders()
    restored = run_shell(
        documented_commands()["restore"], HOME=str(folder), DROVER_HOME=str(home.root)
    )
    assert restored.returncode == 0, restored.stderr
    with embedded_server(home) as server:
        new_url = server.url("drover")
        assert (read_catalogue(new_url), row_counts(new_url)) == old_contents
        assert_installation_continues(
            acme, home, new_url, old_run=first_run, pending_run=pending_run, pipeline=pipeline.pk
        )


@pytest.mark.long
def test_a_restore_reports_missing_and_changed_objects_of_the_bucket(
    committed_db: None, folder: Path
) -> None:
    """The objects stay in the bucket, and the backup contains a list of them. An existing server is used."""
    old_url, new_url = (
        database.url_of(name) for name in (database.process_database_name(), "restored_with_bucket")
    )
    with s3_storage() as environment, dropped_database(new_url):
        bucket = s3_client(environment["DROVER_S3_ENDPOINT_URL"])
        for name in ("changed", "gone", "kept"):
            bucket.put_object(Bucket=BUCKET, Key=f"org/{name}", Body=b"at the time of the backup")
        backup = run_shell(
            documented_commands()["backup"], HOME=str(folder), DATABASE_URL=old_url, **environment
        )
        assert backup.returncode == 0, backup.stderr
        bucket.delete_object(Bucket=BUCKET, Key="org/gone")
        bucket.put_object(Bucket=BUCKET, Key="org/changed", Body=b"changed after the backup")
        bucket.put_object(Bucket=BUCKET, Key="org/new", Body=b"added after the backup")

        environment |= {"HOME": str(folder), "DROVER_HOME": str(folder / "new")}
        restored = run_shell(documented_commands()["restore"], DATABASE_URL=new_url, **environment)

    assert restored.returncode == 0, restored.stderr
    messages = [line.strip() for line in restored.stdout.splitlines() if "of the bucket" in line]
    assert messages == [
        "1 objects of the bucket are missing, such as org/gone",
        "1 objects of the bucket are changed, such as org/changed",
    ]


@contextmanager
def dropped_database(url: str) -> Iterator[None]:
    """Drop the database before and after the block."""
    drop = f"DROP DATABASE IF EXISTS {env.database_settings(url)['NAME']} WITH (FORCE)"
    with psycopg.connect(database.url_of("postgres"), autocommit=True) as admin:
        admin.execute(drop)
        yield
        admin.execute(drop)


def kill_during_restore(command: str, **environment: str) -> None:
    """Kill a restore with SIGKILL once it has begun to restore the database."""
    inherited_environment = {
        name: value for name, value in os.environ.items() if name != "DATABASE_URL"
    }
    process = subprocess.Popen(
        ["/bin/sh", "-ec", f"exec {command}"],
        cwd=ROOT,
        env=inherited_environment | environment,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    output = b""
    while b"Database" not in output:
        output += (chunk := os.read(process.stdout.fileno(), 4096))
        assert chunk, output
    process.kill()
    assert process.wait(10) == -signal.SIGKILL
    process.stdout.close()


def owner_url(name: str) -> str:
    return env.role_url(database.url_of(name), settings.SECRET_KEY, "app_owner")


INSERT_JOB = """
INSERT INTO engine.stream_jobs (id, name, source_name, stream_name, sync_mode, created_at)
VALUES (gen_random_uuid(), 'n', 's', 's', 'full_refresh', now())"""


def test_the_engine_cannot_commit_while_a_backup_links_files(committed_db: None) -> None:
    """Otherwise a linked file could belong to a job that the dump does not contain, and the job would run again."""
    name = database.process_database_name()
    engine_url = env.role_url(database.url_of(name), settings.SECRET_KEY, "app_engine")
    with (
        databases.pause_engine(owner_url(name)) as snapshot,
        psycopg.connect(engine_url, autocommit=True) as engine_conn,
    ):
        engine_conn.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            engine_conn.execute(INSERT_JOB)
        snapshot.release()
        engine_conn.execute(INSERT_JOB)
        assert snapshot.reader.execute("SELECT FROM engine.stream_jobs").rowcount == 0


def test_a_frozen_backup_unblocks_the_engine_and_fails(
    committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "MAX_LOCK_SECONDS", 0.2)
    name = database.process_database_name()
    with databases.pause_engine(owner_url(name)) as snapshot:
        with psycopg.connect(owner_url(name), autocommit=True) as engine_conn:
            engine_conn.execute("SET lock_timeout = '30s'")
            # This statement waits until the server closes the connection that holds the lock.
            engine_conn.execute(INSERT_JOB)
        with pytest.raises(LocalError, match="was frozen"):
            snapshot.release()


def make_append_only(world: World, pipeline: Any) -> None:
    """Make the pipeline incremental and appending, so that a row that is read twice would be duplicated."""
    from apps.pipelines.models import PipelineVersion

    with world.scope():
        version = PipelineVersion.objects.for_org(world.org).get(pipeline=pipeline)
        version.definition["streams"][0] |= {
            "sync_mode": "incremental",
            "cursor_field": "id",
            "write_mode": "append",
        }
        version.save()


def assert_installation_continues(
    world: World, home: Home, url: str, *, old_run: UUID, pending_run: UUID, pipeline: UUID
) -> None:
    """Log in, read the log of the old run, and let the pending run and a new run succeed."""
    environment: Any = {"DROVER_HOME": str(home.root), "DATABASE_URL": without_credentials(url)}
    email = User.objects.get(pk=world.users[Role.OWNER].pk).email
    with (
        web_server(**environment) as address,
        running_worker(**environment),
        httpx.Client(base_url=f"{address}/api/v1/", timeout=30) as client,
    ):
        login = client.post("auth/login", json={"email": email, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access']}"
        log = client.get(f"runs/{old_run}/logs").raise_for_status().json()
        assert log["complete"]
        assert log["lines"]
        assert wait_until_succeeded(client, pending_run)["progress"]["read"] == 8
        add_orders(3)
        new_run = client.post(f"pipelines/{pipeline}/run").raise_for_status().json()["id"]
        assert wait_until_succeeded(client, new_run)["progress"]["read"] == 3
        outputs = client.get(f"runs/{new_run}/outputs").raise_for_status().json()["results"]
        assert sum(output["rows"] for output in outputs) == 3
        runs = client.get("runs").json()["results"]
        assert {run["id"] for run in runs} == {str(old_run), str(pending_run), new_run}


def wait_until_succeeded(client: httpx.Client, run_id: Any) -> dict[str, Any]:
    for _ in range(600):
        run: dict[str, Any] = client.get(f"runs/{run_id}").raise_for_status().json()
        if run["status"] not in ("pending", "running"):
            assert run["status"] == "succeeded", run
            return run
        time.sleep(0.1)
    raise AssertionError(run)
