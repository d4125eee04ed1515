"""An installation of an older release is upgraded to this one. Waiting jobs are executed, the next runs continue where the
last runs stopped, and no row is duplicated.

`before.tar.gz` is an installation of the release of 28 November 2026, after its worker was killed. It was created with
the API of that release and with the keys of the test suite. It contains both databases (from pg_dump) and the storage.
One run of "Slow" is unfinished. One run of "Orders" and the mail of an invitation wait in the queue.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from django.conf import settings
from django.db import connection
from procrastinate.contrib.django import app
from pytest_django.plugin import DjangoDbBlocker
from rest_framework.test import APIClient

from apps.background import registry
from apps.engine.sync import state
from config import env
from local.database.binaries import wheel_binaries
from local.database.roles import prepare_database
from tests import database
from tests.engine.sources.api import Api, ReceivedRequest, Reply, serve_api
from tests.runs.own_server import using_database
from tests.runs.processes import running_worker
from tests.world import new_client

ARCHIVE = Path(__file__).with_name("before.tar.gz")
DROVER_DATABASE, WAREHOUSE_DATABASE, LOADER_ROLE = "before", "before_warehouse", "before_loader"
PASSWORD = "loader-from-before"
PIPELINE_ID = "01a221e8-4b5d-709b-bf46-02f8d74d0c96"  # Slow
ORG_ID = "01a221e8-436a-712e-a179-472680a324cc"
# Addresses, dates and digests in the archive. They are replaced by those of this test.
OLD_SHOP_ADDRESS, OLD_PORT, OLD_HOME = "127.0.0.1:33255", 38817, "/tmp/drover-tests-t8sb1k_l"  # noqa: S108
OLD_DAY = date(2026, 11, 28)
OLD_DATES = re.compile(r"2026-(?:11-2[89]|12-\d\d)")
OLD_DESTINATION_DIGEST = "aa72a5cbe85f9a157193d06cb97c1df5ae745fbd0d45e882d89703efa2d8a89e"
OLD_SYNC_DIGEST = "0b811cf3613f7a949f2587ad42417204c7752c899f8eaa93b56985c87034439b"
LAST_JOB_ID = 12
JOBS = [
    ("runs.execute", "runs", "doing"),
    ("runs.execute", "runs", "todo"),
    ("orgs.mail_invitation", "mail", "todo"),
]
ORDER_COUNT_BEFORE, SLOW_ROW_COUNT, SLOW_ROW_COUNT_BEFORE, PAGE_SIZE = 30, 200, 100, 10

# {task of the older release: (queue, arguments)}. Jobs of these tasks may wait in the queue at an upgrade.
TASKS = {
    "auth.mail_link": ("mail", ("user_id", "purpose", "email", "version")),
    "auth.mail_notice": ("mail", ("email", "template")),
    "connectors.sync_repository": ("repositories", ("org_id", "repository_id")),
    "orgs.mail_invitation": ("mail", ("org_id", "invitation_id")),
    "orgs.recheck_domain": ("mail", ("org_id", "domain_id")),
    "orgs.recheck_domains": ("mail", ("timestamp",)),
    "pipelines.remove_remains": ("removals", ("org_id", "pipeline_id")),
    "runs.enforce_cancel": ("system", ("org_id", "run_id")),
    "runs.execute": ("runs", ("org_id", "run_id")),
    "runs.reconcile": ("system", ("timestamp",)),
    "runs.retain": ("system", ("timestamp",)),
    "runs.sweep": ("system", ("timestamp",)),
    "runs.tick": ("system", ("timestamp",)),
}


class Shop:
    """The API that the older release read. It now has more orders."""

    def __init__(self) -> None:
        self.orders = ORDER_COUNT_BEFORE + 5

    def respond(self, request: ReceivedRequest) -> Reply:
        if request.headers.get("x-api-key") != "key-from-before":
            return Reply(status=401)
        start = int(request.params["offset"])
        if request.path == "/slow":
            return Reply(
                [{"id": n + 1} for n in range(start, min(start + PAGE_SIZE, SLOW_ROW_COUNT))]
            )
        since = int(request.params.get("since", 1))
        rows = [{"id": n, "total": n * 10} for n in range(since, self.orders + 1)]
        return Reply(rows[start : start + PAGE_SIZE])


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def api(shop: Shop) -> Iterator[Api]:
    with serve_api(shop.respond) as server:
        yield server


@pytest.fixture
def installation(
    api: Api,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """Restore the installation of the older release, and upgrade it as `make up` does."""
    with psycopg.connect(database.url_of("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {LOADER_ROLE} LOGIN PASSWORD '{PASSWORD}'")
        admin.execute(f"CREATE DATABASE {WAREHOUSE_DATABASE} OWNER {LOADER_ROLE}")
        admin.execute(f"CREATE DATABASE {DROVER_DATABASE}")
        try:
            _restore(tmp_path, f"127.0.0.1:{api.port}", admin.info.port)
            _upgrade(database.url_of(DROVER_DATABASE))
            with (
                django_db_blocker.unblock(),
                using_database(database.url_of(DROVER_DATABASE), monkeypatch),
            ):
                yield
        finally:
            admin.execute(f"DROP DATABASE {DROVER_DATABASE} WITH (FORCE)")
            admin.execute(f"DROP DATABASE {WAREHOUSE_DATABASE} WITH (FORCE)")
            admin.execute(f"DROP ROLE {LOADER_ROLE}")


def _restore(folder: Path, shop_address: str, port: int) -> None:
    """Restore the databases and the storage, with the addresses of this test and with dates of yesterday.

    The unfinished run has not reached its time limit, and a schedule is due.
    """
    home = os.environ["DROVER_HOME"]
    old_digests = (OLD_DESTINATION_DIGEST, OLD_SYNC_DIGEST)
    assert sync_digests(OLD_SHOP_ADDRESS, OLD_PORT, OLD_HOME) == old_digests
    replacements = {OLD_SHOP_ADDRESS: shop_address, f'"port": {OLD_PORT}': f'"port": {port}'}
    replacements |= dict(zip(old_digests, sync_digests(shop_address, port, home), strict=True))
    subprocess.run(["tar", "-xzf", ARCHIVE, "--no-same-owner", "-C", folder], check=True)
    shutil.copytree(folder / "storage", Path(home) / "storage", dirs_exist_ok=True)
    for name, dump in ((DROVER_DATABASE, "drover.sql"), (WAREHOUSE_DATABASE, "warehouse.sql")):
        text = (folder / dump).read_text()
        for old_text, new_text in replacements.items():
            text = text.replace(old_text, new_text)
        _load(database.url_of(name), OLD_DATES.sub(_move_date, text))
    with psycopg.connect(database.url_of(DROVER_DATABASE)) as admin:
        admin.execute("UPDATE runs_run SET started_at = now() WHERE status = 'running'")
        admin.execute("UPDATE pipelines_schedule SET next_run_at = now() - interval '1 minute'")


def _move_date(day: re.Match[str]) -> str:
    """Move a date of the archive so that OLD_DAY becomes yesterday.

    With older dates the retention would remove data, and invitations would have expired.
    """
    shift = datetime.now(UTC).date() - timedelta(days=1) - OLD_DAY
    return (date.fromisoformat(day[0]) + shift).isoformat()


def _load(url: str, dump: str) -> None:
    psql: list[str | Path] = [wheel_binaries() / "psql", "--quiet", "--no-psqlrc"]
    subprocess.run(
        [*psql, "--set=ON_ERROR_STOP=1", url],
        input=dump.encode(),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _upgrade(url: str) -> None:
    prepare_database(url, settings.SECRET_KEY)
    database.migrate(url)
    owner = env.role_url(url, settings.SECRET_KEY, "app_owner")
    state.install(owner, role="app_engine")


def sync_digests(shop_address: str, port: int, home: str) -> tuple[str, str]:
    """Return the digests by which the older release recognized an unfinished sync.

    The first digest is of the destination, and the second is of the destination, the source and the mode.
    """
    connection_settings = {
        "host": "127.0.0.1",
        "port": port,
        "user": LOADER_ROLE,
        "database": WAREHOUSE_DATABASE,
    }
    destination_digest = digest(
        [
            "postgres",
            connection_settings,
            "slow",
            f"file://{home}/storage",
            f"org/{ORG_ID}/data/{PIPELINE_ID}",
        ]
    )
    orders = {
        "name": "orders",
        "path": "/orders",
        "primary_key": ["id"],
        "cursor_field": "id",
        "cursor_param": "since",
    }
    source = {
        "base_url": f"http://{shop_address}",
        "auth": {"type": "api_key", "name": "X-API-Key"},
        "pagination": {"type": "offset", "page_size": PAGE_SIZE},
        "streams": [orders, {"name": "slow", "path": "/slow", "primary_key": ["id"]}],
    }
    mode = ["full_refresh", None, "replace", ()]
    return destination_digest, digest([destination_digest, ["rest", source, "slow"], mode])


def digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


class OldUser:
    """A user of the older release who uses the API of this release."""

    def __init__(self) -> None:
        self.client: APIClient = new_client()
        account = {"email": "ada@example.com", "password": "a password from before"}
        access = self.post("auth/login", **account)["access"]
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")

    def get(self, path: str) -> Any:
        return _body(self.client.get(f"/api/v1/{path}"))

    def post(self, path: str, **content: Any) -> Any:
        return _body(self.client.post(f"/api/v1/{path}", content, format="json"))

    def pipelines(self) -> dict[str, str]:
        """Return the ids of the pipelines by name."""
        return {pipeline["name"]: pipeline["id"] for pipeline in self.get("pipelines")["results"]}

    def runs(self, status: str) -> dict[str, str]:
        """Return the ids of the runs with this status by the name of their pipeline."""
        runs = self.get(f"runs?status={status}")["results"]
        return {run["pipeline"]["name"]: run["id"] for run in runs}

    def run_pipeline(self, pipeline: str) -> Any:
        """Run the pipeline, and return the run after it has succeeded."""
        return self.wait_for_success(self.post(f"pipelines/{self.pipelines()[pipeline]}/run")["id"])

    def wait_for_success(self, run_id: str) -> Any:
        """Wait until the run has succeeded, and return it."""
        end_states = {"succeeded", "failed", "cancelled"}
        run = wait_until(
            lambda: self.get(f"runs/{run_id}"), lambda run: run["status"] in end_states
        )
        assert run["status"] == "succeeded", run
        return run


def wait_until(
    read: Callable[[], Any], is_done: Callable[[Any], object], seconds: float = 90
) -> Any:
    deadline = time.monotonic() + seconds
    while not is_done(value := read()):
        connection.close()
        assert time.monotonic() < deadline, value
        time.sleep(0.1)
    return value


def _body(answer: Any) -> Any:
    assert answer.status_code < 300, (answer.status_code, answer.content)
    return answer.json()


def read_rows(table: str, columns: str = "id") -> list[Any]:
    """Return the rows of a table in the warehouse, in order."""
    with psycopg.connect(database.url_of(WAREHOUSE_DATABASE)) as admin:
        return admin.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()


def remaining_old_jobs() -> list[Any]:
    """Return the jobs of the older release that are still in the queue. A job of an unknown task stays as failed."""
    with psycopg.connect(database.url_of(DROVER_DATABASE)) as admin:
        return admin.execute(
            "SELECT task_name, queue_name, status::text FROM procrastinate_jobs WHERE id <= %s ORDER BY id",
            [LAST_JOB_ID],
        ).fetchall()


def id_rows(last: int) -> list[Any]:
    return [(n,) for n in range(1, last + 1)]


def test_this_release_accepts_jobs_of_the_older_release() -> None:
    for name, (queue, arguments) in TASKS.items():
        task = app.tasks[name]
        assert task.queue == queue
        assert queue in registry.queues()
        inspect.signature(task.func).bind(**dict.fromkeys(arguments))


def test_an_older_installation_continues_without_duplicates(
    installation: None, shop: Shop, api: Api
) -> None:
    ada = OldUser()
    waiting_runs, interrupted_runs = ada.runs("pending"), ada.runs("running")
    assert (list(waiting_runs), list(interrupted_runs)) == (["Orders"], ["Slow"])
    assert read_rows("orders") == read_rows("merged") == id_rows(ORDER_COUNT_BEFORE)
    assert remaining_old_jobs() == JOBS
    with running_worker():
        assert ada.wait_for_success(waiting_runs["Orders"])["progress"]["written"] == 5
        assert read_rows("orders", "id, twice") == [(n, n * 20) for n in range(1, 36)]

        continued = ada.wait_for_success(interrupted_runs["Slow"])
        assert (continued["attempt"], continued["progress"]["written"]) == (2, SLOW_ROW_COUNT)
        slow_requests = [request for request in api.requests if request.path == "/slow"]
        assert (
            min(int(request.params["offset"]) for request in slow_requests) == SLOW_ROW_COUNT_BEFORE
        )
        assert read_rows("slow") == id_rows(SLOW_ROW_COUNT)

        assert ada.run_pipeline("Ticks")["progress"]["written"] == 10
        assert read_rows("ticks") == id_rows(20)

        [scheduled_run] = wait_until(lambda: ada.get("runs?trigger=schedule")["results"], bool)
        assert ada.wait_for_success(scheduled_run["id"])["progress"]["written"] == 5
        assert read_rows("merged") == id_rows(35)

        shop.orders += 5
        assert ada.run_pipeline("Orders")["progress"]["written"] == 5
        assert read_rows("orders") == id_rows(40)
        wait_until(lambda: ada.get("org/invitations")["results"], lambda found: found[0]["sent_at"])
        wait_until(remaining_old_jobs, lambda jobs: not jobs)
    for run in ada.get("runs")["results"]:
        assert ada.get(f"runs/{run['id']}/logs")["lines"]
    _check_migrated_definitions(ada, ada.pipelines()["Orders"])


def _check_migrated_definitions(ada: OldUser, pipeline_id: str) -> None:
    """Check the migrated definitions of a pipeline. In the older release the pipeline's second version added a transform."""
    first, second = (ada.get(f"pipelines/{pipeline_id}/versions/{n}")["config"] for n in (1, 2))
    [stream] = second["streams"]
    assert (stream["stream"], stream["table"], stream["write_mode"]) == (
        "orders",
        "orders",
        "append",
    )
    assert "record['twice']" in stream.pop("transforms")[0]["code"]
    assert first == {**second, "streams": [{**stream, "transforms": []}]}
    [change] = ada.get(f"pipelines/{pipeline_id}/versions/2/diff")["changes"]
    assert change["field"] == "streams.0.transforms"
