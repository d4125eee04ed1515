"""An installation of the previous release is upgraded to this one: waiting jobs are done, the next runs continue where the
last ones stopped, and no row is duplicated.

`before.tar.gz` is an installation of the release of 28 November 2026 after its worker was killed, created with that
release's own API: both databases (pg_dump of the suite's PostgreSQL, so that the suite's keys decrypt the secrets) and
the storage. One run of "Slow" is unfinished, one of "Orders" waits in the queue, and so does the mail of an invitation.
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
from tests.runs.own_server import pointed_at
from tests.runs.processes import worker
from tests.world import new_client

ARCHIVE = Path(__file__).with_name("before.tar.gz")
DROVER, WAREHOUSE, LOADER = "before", "before_warehouse", "before_loader"
PASSWORD = "loader-from-before"
PIPELINE = "01a221e8-4b5d-709b-bf46-02f8d74d0c96"  # Slow
ORG = "01a221e8-436a-712e-a179-472680a324cc"
# What the older release ran with, and what it wrote down of the sync that did not end.
OLD_SHOP, OLD_PORT, OLD_HOME = "127.0.0.1:33255", 38817, "/tmp/drover-tests-t8sb1k_l"  # noqa: S108
OLD_DAY = date(2026, 11, 28)
OLD_DAYS = re.compile(r"2026-(?:11-2[89]|12-\d\d)")
OLD_DESTINATION = "aa72a5cbe85f9a157193d06cb97c1df5ae745fbd0d45e882d89703efa2d8a89e"
OLD_FINGERPRINT = "0b811cf3613f7a949f2587ad42417204c7752c899f8eaa93b56985c87034439b"
LAST_JOB = 12
JOBS = [
    ("runs.execute", "runs", "doing"),
    ("runs.execute", "runs", "todo"),
    ("orgs.mail_invitation", "mail", "todo"),
]
ORDERS_BEFORE, SLOW_ROWS, SLOW_BEFORE, PAGE = 30, 200, 100, 10

# The tasks of the older release: their queue, and what they are told. Jobs of them may wait at an upgrade.
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
    """The API that the older release read, with some orders more."""

    def __init__(self) -> None:
        self.orders = ORDERS_BEFORE + 5

    def answer(self, asked: ReceivedRequest) -> Reply:
        if asked.headers.get("x-api-key") != "key-from-before":
            return Reply(status=401)
        start = int(asked.params["offset"])
        if asked.path == "/slow":
            return Reply([{"id": n + 1} for n in range(start, min(start + PAGE, SLOW_ROWS))])
        since = int(asked.params.get("since", 1))
        rows = [{"id": n, "total": n * 10} for n in range(since, self.orders + 1)]
        return Reply(rows[start : start + PAGE])


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def api(shop: Shop) -> Iterator[Api]:
    with serve_api(shop.answer) as server:
        yield server


@pytest.fixture
def installation(
    api: Api,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """What the older release left, brought up to this one as `make up` does it."""
    with psycopg.connect(database.url_of("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {LOADER} LOGIN PASSWORD '{PASSWORD}'")
        admin.execute(f"CREATE DATABASE {WAREHOUSE} OWNER {LOADER}")
        admin.execute(f"CREATE DATABASE {DROVER}")
        try:
            _restore(tmp_path, f"127.0.0.1:{api.port}", admin.info.port)
            _bring_up(database.url_of(DROVER))
            with (
                django_db_blocker.unblock(),
                pointed_at(database.url_of(DROVER), monkeypatch),
            ):
                yield
        finally:
            admin.execute(f"DROP DATABASE {DROVER} WITH (FORCE)")
            admin.execute(f"DROP DATABASE {WAREHOUSE} WITH (FORCE)")
            admin.execute(f"DROP ROLE {LOADER}")


def _restore(folder: Path, shop: str, port: int) -> None:
    """The databases and the storage, with the addresses of this test, as if it had been yesterday. The sync in the
    middle has time left, and a schedule came due meanwhile."""
    home = os.environ["DROVER_HOME"]
    old = (OLD_DESTINATION, OLD_FINGERPRINT)
    assert identity(OLD_SHOP, OLD_PORT, OLD_HOME) == old
    moved = {OLD_SHOP: shop, f'"port": {OLD_PORT}': f'"port": {port}'}
    moved |= dict(zip(old, identity(shop, port, home), strict=True))
    subprocess.run(["tar", "-xzf", ARCHIVE, "--no-same-owner", "-C", folder], check=True)
    shutil.copytree(folder / "storage", Path(home) / "storage", dirs_exist_ok=True)
    for name, dump in ((DROVER, "drover.sql"), (WAREHOUSE, "warehouse.sql")):
        text = (folder / dump).read_text()
        for before, now in moved.items():
            text = text.replace(before, now)
        _load(database.url_of(name), OLD_DAYS.sub(_as_if_yesterday, text))
    with psycopg.connect(database.url_of(DROVER)) as admin:
        admin.execute("UPDATE runs_run SET started_at = now() WHERE status = 'running'")
        admin.execute("UPDATE pipelines_schedule SET next_run_at = now() - interval '1 minute'")


def _as_if_yesterday(day: re.Match[str]) -> str:
    """Else retention would take what is old, and invitations would have expired."""
    later = datetime.now(UTC).date() - timedelta(days=1) - OLD_DAY
    return (date.fromisoformat(day[0]) + later).isoformat()


def _load(url: str, dump: str) -> None:
    psql: list[str | Path] = [wheel_binaries() / "psql", "--quiet", "--no-psqlrc"]
    subprocess.run(
        [*psql, "--set=ON_ERROR_STOP=1", url],
        input=dump.encode(),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _bring_up(url: str) -> None:
    prepare_database(url, settings.SECRET_KEY)
    database.migrate(url)
    owner = env.role_url(url, settings.SECRET_KEY, "app_owner")
    state.install(owner, role="app_engine")


def identity(shop: str, port: int, home: str) -> tuple[str, str]:
    """How the older release told whether a sync can be continued: digests of where to, and of what and how."""
    to = {"host": "127.0.0.1", "port": port, "user": LOADER, "database": WAREHOUSE}
    place = digest(["postgres", to, "slow", f"file://{home}/storage", f"org/{ORG}/data/{PIPELINE}"])
    orders = {
        "name": "orders",
        "path": "/orders",
        "primary_key": ["id"],
        "cursor_field": "id",
        "cursor_param": "since",
    }
    source = {
        "base_url": f"http://{shop}",
        "auth": {"type": "api_key", "name": "X-API-Key"},
        "pagination": {"type": "offset", "page_size": PAGE},
        "streams": [orders, {"name": "slow", "path": "/slow", "primary_key": ["id"]}],
    }
    mode = ["full_refresh", None, "replace", ()]
    return place, digest([place, ["rest", source, "slow"], mode])


def digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


class Ada:
    """The account of the older release, in a browser of today."""

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
        """Their ids by name."""
        return {one["name"]: one["id"] for one in self.get("pipelines")["results"]}

    def runs(self, status: str) -> dict[str, str]:
        """Their ids by the pipeline's name."""
        listed = self.get(f"runs?status={status}")["results"]
        return {run["pipeline"]["name"]: run["id"] for run in listed}

    def run(self, pipeline: str) -> Any:
        """A run of now, once it has ended."""
        return self.ended(self.post(f"pipelines/{self.pipelines()[pipeline]}/run")["id"])

    def ended(self, run_id: str) -> Any:
        """The run, which must succeed."""
        over = {"succeeded", "failed", "cancelled"}
        run = until(lambda: self.get(f"runs/{run_id}"), lambda run: run["status"] in over)
        assert run["status"] == "succeeded", run
        return run


def until(look: Callable[[], Any], good: Callable[[Any], object], seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while not good(seen := look()):
        connection.close()
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
    return seen


def _body(answer: Any) -> Any:
    assert answer.status_code < 300, (answer.status_code, answer.content)
    return answer.json()


def rows(table: str, columns: str = "id") -> list[Any]:
    """What the warehouse holds, in order."""
    with psycopg.connect(database.url_of(WAREHOUSE)) as admin:
        return admin.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()


def jobs_of_before() -> list[Any]:
    """What the older release put into the queue and is there yet; a job of a name that nobody knows stays, failed."""
    with psycopg.connect(database.url_of(DROVER)) as admin:
        return admin.execute(
            "SELECT task_name, queue_name, status::text FROM procrastinate_jobs WHERE id <= %s ORDER BY id",
            [LAST_JOB],
        ).fetchall()


def up_to(last: int) -> list[Any]:
    return [(n,) for n in range(1, last + 1)]


def test_jobs_of_the_older_release_can_be_done() -> None:
    for name, (queue, told) in TASKS.items():
        task = app.tasks[name]
        assert task.queue == queue
        assert queue in registry.queues()
        inspect.signature(task.func).bind(**dict.fromkeys(told))


def test_an_older_installation_continues_without_duplicates(
    installation: None, shop: Shop, api: Api
) -> None:
    ada = Ada()
    waiting, cut = ada.runs("pending"), ada.runs("running")
    assert (list(waiting), list(cut)) == (["Orders"], ["Slow"])
    assert rows("orders") == rows("merged") == up_to(ORDERS_BEFORE)
    assert jobs_of_before() == JOBS
    with worker():
        assert ada.ended(waiting["Orders"])["progress"]["written"] == 5
        assert rows("orders", "id, twice") == [(n, n * 20) for n in range(1, 36)]

        continued = ada.ended(cut["Slow"])
        assert (continued["attempt"], continued["progress"]["written"]) == (2, SLOW_ROWS)
        asked = [int(one.params["offset"]) for one in api.requests if one.path == "/slow"]
        assert min(asked) == SLOW_BEFORE
        assert rows("slow") == up_to(SLOW_ROWS)

        assert ada.run("Ticks")["progress"]["written"] == 10
        assert rows("ticks") == up_to(20)

        [due] = until(lambda: ada.get("runs?trigger=schedule")["results"], bool)
        assert ada.ended(due["id"])["progress"]["written"] == 5
        assert rows("merged") == up_to(35)

        shop.orders += 5
        assert ada.run("Orders")["progress"]["written"] == 5
        assert rows("orders") == up_to(40)
        until(lambda: ada.get("org/invitations")["results"], lambda found: found[0]["sent_at"])
        until(jobs_of_before, lambda left: not left)
    for run in ada.get("runs")["results"]:
        assert ada.get(f"runs/{run['id']}/logs")["lines"]
    _see_definitions_of_today(ada, ada.pipelines()["Orders"])


def _see_definitions_of_today(ada: Ada, orders: str) -> None:
    """Of a pipeline whose second version, made by the older release, added a transform."""
    first, second = (ada.get(f"pipelines/{orders}/versions/{n}")["config"] for n in (1, 2))
    [stream] = second["streams"]
    assert (stream["stream"], stream["table"], stream["write_mode"]) == (
        "orders",
        "orders",
        "append",
    )
    assert "record['twice']" in stream.pop("transforms")[0]["code"]
    assert first == {**second, "streams": [{**stream, "transforms": []}]}
    [change] = ada.get(f"pipelines/{orders}/versions/2/diff")["changes"]
    assert change["field"] == "streams.0.transforms"
