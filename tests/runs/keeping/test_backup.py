"""The two commands of docs/howto/backup.md, exactly as written: a backed-up installation continues elsewhere."""

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
from apps.runs import execute as attempts
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
from tests.runs.keeping.test_storage import s3
from tests.runs.processes import ROOT, start, worker
from tests.web_server import web_server
from tests.world import World

HOW_TO = ROOT / "docs" / "howto" / "backup.md"
PASSWORD = "correct horse battery staple"
# The owner of each object and its privileges, the policies, and the value of each sequence.
CATALOGUE = """
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


def commands() -> dict[str, str]:
    """Return the commands that the how-to shows, by name."""
    shown = re.findall(r"```sh\n(.*?)\n```", HOW_TO.read_text(), re.S)
    return {re.findall(r"manage\.py (\w+)", command)[0]: command for command in shown}


def say(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command typed at a terminal in the checkout."""
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        ["/bin/sh", "-ec", command],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="drover-backup-"))
    yield made
    EmbeddedPostgres(made / "new" / "pg").delete()
    shutil.rmtree(made)


@pytest.fixture
def orders(committed_db: None) -> Iterator[dict[str, Any]]:
    """A table of a user's database, as a source; returns the settings of its connector."""
    with psycopg.connect(database.url_of("postgres"), autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
        admin.execute("CREATE DATABASE shop")
        add_orders(50)
        yield connector(database.url_of("shop"))
        admin.execute("DROP DATABASE shop WITH (FORCE)")


def connector(url: str) -> dict[str, Any]:
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


def catalogue(url: str) -> list[Any]:
    with psycopg.connect(url) as admin:
        return admin.execute(CATALOGUE).fetchall()


def rows_of(url: str) -> dict[str, int]:
    with psycopg.connect(url) as admin:
        names = admin.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('public', 'engine')"
        ).fetchall()
        return {
            name: admin.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # type: ignore[index]
            for (name,) in names
        }


def test_what_the_how_to_shows_brings_an_installation_to_another_home_and_server(
    acme: World, this_worker: Worker, orders: dict[str, Any], folder: Path
) -> None:
    owner = acme.users[Role.OWNER]
    owner.set_password(PASSWORD)
    owner.save()
    pipeline = make_pipeline(
        acme, source=orders, source_kind="postgres", stream="public.orders", table="orders"
    )
    append_only(acme, pipeline)
    first = start(acme, pipeline)
    attempts.work_once(this_worker)
    add_orders(8)
    waiting = start(acme, pipeline)  # its job is in the queue of the backup
    old = database.url_of(database.worker_database())
    before = (catalogue(old), rows_of(old))

    made = say(commands()["backup"], HOME=str(folder), DATABASE_URL=without_credentials(old))
    assert made.returncode == 0, made.stderr
    assert "Store the two files in different places" in made.stdout
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert files == {"drover.backup": 0o600, "drover.keys": 0o600}
    assert settings.ENCRYPTION_KEYS[0].encode() not in (folder / "drover.backup").read_bytes()

    home = Home(folder / "new")
    kill_in_the_middle(commands()["restore"], HOME=str(folder), DROVER_HOME=str(home.root))
    with pytest.raises(LocalError, match="was interrupted"):
        home.create_folders()
    restored = say(commands()["restore"], HOME=str(folder), DROVER_HOME=str(home.root))
    assert restored.returncode == 0, restored.stderr
    with embedded_server(home) as server:
        new = server.url("drover")
        assert (catalogue(new), rows_of(new)) == before
        goes_on(acme, home, new, first=first, waiting=waiting, pipeline=pipeline.pk)


@pytest.mark.long
def test_a_restore_reports_objects_missing_from_the_bucket(
    committed_db: None, folder: Path
) -> None:
    """The objects stay in the bucket; the backup has their listing. The server is an existing one."""
    old, new = (database.url_of(n) for n in (database.worker_database(), "restored_with_bucket"))
    with s3() as environment, emptied(new):
        bucket = s3_client(environment["DROVER_S3_ENDPOINT_URL"])
        for name in ("changed", "gone", "kept"):
            bucket.put_object(Bucket=BUCKET, Key=f"org/{name}", Body=b"of the moment")
        made = say(commands()["backup"], HOME=str(folder), DATABASE_URL=old, **environment)
        assert made.returncode == 0, made.stderr
        bucket.delete_object(Bucket=BUCKET, Key="org/gone")
        bucket.put_object(Bucket=BUCKET, Key="org/changed", Body=b"of some later day")
        bucket.put_object(Bucket=BUCKET, Key="org/new", Body=b"nobody's business")

        environment |= {"HOME": str(folder), "DROVER_HOME": str(folder / "new")}
        restored = say(commands()["restore"], DATABASE_URL=new, **environment)

    assert restored.returncode == 0, restored.stderr
    said = [line.strip() for line in restored.stdout.splitlines() if "of the bucket" in line]
    assert said == [
        "1 objects of the bucket are missing, such as org/gone",
        "1 objects of the bucket are changed, such as org/changed",
    ]


@contextmanager
def emptied(url: str) -> Iterator[None]:
    """A database that does not exist, before and afterwards."""
    drop = f"DROP DATABASE IF EXISTS {env.database_settings(url)['NAME']} WITH (FORCE)"
    with psycopg.connect(database.url_of("postgres"), autocommit=True) as admin:
        admin.execute(drop)
        yield
        admin.execute(drop)


def kill_in_the_middle(command: str, **environment: str) -> None:
    """Kill a restore (kill -9) that has begun with the database."""
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    process = subprocess.Popen(
        ["/bin/sh", "-ec", f"exec {command}"],
        cwd=ROOT,
        env=kept | environment,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    said = b""
    while b"Database" not in said:
        said += (chunk := os.read(process.stdout.fileno(), 4096))
        assert chunk, said
    process.kill()
    assert process.wait(10) == -signal.SIGKILL
    process.stdout.close()


def owner_of(name: str) -> str:
    return env.role_url(database.url_of(name), settings.SECRET_KEY, "app_owner")


ADD_JOB = """
INSERT INTO engine.stream_jobs (id, name, source_name, stream_name, sync_mode, created_at)
VALUES (gen_random_uuid(), 'n', 's', 's', 'full_refresh', now())"""


def test_the_engine_commits_nothing_while_files_are_linked(committed_db: None) -> None:
    """So no file belongs to a job that the dump does not contain, which would be run again."""
    name = database.worker_database()
    engine = env.role_url(database.url_of(name), settings.SECRET_KEY, "app_engine")
    with (
        databases.pause_engine(owner_of(name)) as moment,
        psycopg.connect(engine, autocommit=True) as other,
    ):
        other.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute(ADD_JOB)
        moment.release()
        other.execute(ADD_JOB)
        assert moment.reader.execute("SELECT FROM engine.stream_jobs").rowcount == 0


def test_a_frozen_backup_unblocks_the_engine_and_fails(
    committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "MAX_LOCK_SECONDS", 0.2)
    name = database.worker_database()
    with databases.pause_engine(owner_of(name)) as moment:
        with psycopg.connect(owner_of(name), autocommit=True) as other:
            other.execute("SET lock_timeout = '30s'")
            other.execute(ADD_JOB)  # once the server has ended the session that holds the lock
        with pytest.raises(LocalError, match="was frozen"):
            moment.release()


def append_only(world: World, pipeline: Any) -> None:
    """Incremental and append: a row that is read twice would be duplicated."""
    from apps.pipelines.models import PipelineVersion

    with world.scope():
        version = PipelineVersion.objects.for_org(world.org).get(pipeline=pipeline)
        version.definition["streams"][0] |= {
            "sync_mode": "incremental",
            "cursor_field": "id",
            "write_mode": "append",
        }
        version.save()


def goes_on(
    world: World, home: Home, new: str, *, first: UUID, waiting: UUID, pipeline: UUID
) -> None:
    """Log in, read the old log and output, and let the waiting run and another one run."""
    environment: Any = {"DROVER_HOME": str(home.root), "DATABASE_URL": without_credentials(new)}
    email = User.objects.get(pk=world.users[Role.OWNER].pk).email
    with (
        web_server(**environment) as address,
        worker(**environment),
        httpx.Client(base_url=f"{address}/api/v1/", timeout=30) as client,
    ):
        login = client.post("auth/login", json={"email": email, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access']}"
        log = client.get(f"runs/{first}/logs").raise_for_status().json()
        assert log["complete"]
        assert log["lines"]
        assert until_ended(client, waiting)["progress"]["read"] == 8
        add_orders(3)
        third = client.post(f"pipelines/{pipeline}/run").raise_for_status().json()["id"]
        assert until_ended(client, third)["progress"]["read"] == 3
        outputs = client.get(f"runs/{third}/outputs").raise_for_status().json()["results"]
        assert sum(output["rows"] for output in outputs) == 3
        runs = client.get("runs").json()["results"]
        assert {run["id"] for run in runs} == {str(first), str(waiting), third}


def until_ended(client: httpx.Client, run_id: Any) -> dict[str, Any]:
    for _ in range(600):
        run: dict[str, Any] = client.get(f"runs/{run_id}").raise_for_status().json()
        if run["status"] not in ("pending", "running"):
            assert run["status"] == "succeeded", run
            return run
        time.sleep(0.1)
    raise AssertionError(run)
