"""An org's usage, counted by the database; a warning, then a stop without data loss."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.runs import services
from apps.runs.attempts import limit_watch
from apps.runs.execute import Worker
from apps.runs.models import Run, Status, Trigger, Usage
from apps.runs.usage import counting as usage
from apps.runs.usage.counting import Measure
from tests.runs.claiming.test_attempts import last_line, work_until_idle
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start
from tests.world import World
from tests.world import make_pipeline as make_any_pipeline


def limit(world: World, **limits: int) -> None:
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(**limits)
    for name, value in limits.items():
        setattr(world.org, name, value)


def used(world: World) -> tuple[int, int]:
    with world.scope():
        row = usage.read_month(world.org.pk)
    return row.rows, row.runs


def run_of(world: World) -> Run:
    with world.scope():
        found = Run.objects.for_org(world.org).order_by("-created_at").first()
    assert found is not None
    return found


def test_rows_are_counted_once_whatever_happens_to_the_pipeline(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 250})
    for _ in range(2):
        start(acme, pipeline)
        work_until_idle(this_worker)
    assert used(acme) == (500, 2)
    assert acme.client().delete(f"/api/v1/pipelines/{pipeline.pk}").status_code == 204
    assert used(acme) == (500, 2)


def test_a_counter_that_goes_back_takes_nothing_off(world: World) -> None:
    pipeline = make_any_pipeline(world)
    with world.scope():
        run = Run.unscoped.create(
            org=world.org, pipeline=pipeline, version=1, status="failed", trigger="manual"
        )
        for written in (100, 40, 70):
            Run.objects.for_org(world.org).filter(pk=run.pk).update(records_written=written)
    assert used(world)[0] == 130


def test_at_the_limit_a_manual_run_is_refused_and_a_scheduled_one_fails(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 250})
    limit(acme, max_rows_month=200)
    start(acme, pipeline)
    work_until_idle(this_worker)
    assert run_of(acme).status == Status.SUCCEEDED  # small enough to end before the next check
    refused = acme.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached")
    assert "200 rows per month" in refused.json()["detail"]
    with acme.scope():
        services.start(org=acme.org, by=SYSTEM, pipeline_id=pipeline.pk, trigger=Trigger.SCHEDULE)
    work_until_idle(this_worker)
    failed = run_of(acme)
    assert (failed.status, failed.failure_class) == (Status.FAILED, "configuration")
    assert "limit of 200 rows per month" in failed.failure_message
    assert failed.failure_retryable is False


def test_a_long_run_stops_at_the_limit_and_continues_when_it_is_raised(
    acme: World, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit_watch, "CHECK_INTERVAL", 0.1)
    slow = {"rows": 4000, "page_size": 200, "delay": 0.2}
    pipeline = make_pipeline(acme, source=slow, write_mode="append")
    limit(acme, max_rows_month=400)
    start(acme, pipeline)
    work_until_idle(this_worker)
    stopped = run_of(acme)
    assert stopped.status == Status.FAILED
    assert "limit of 400 rows per month" in stopped.failure_message
    assert last_line(acme, stopped.pk) == f"Failed (configuration): {stopped.failure_message}"
    assert 0 < stopped.records_written < 4000
    limit(acme, max_rows_month=1_000_000)
    again = acme.client().post(f"/api/v1/runs/{stopped.pk}/retry", {})
    assert again.status_code == 200, again.content
    work_until_idle(this_worker)
    done = run_of(acme)
    assert (done.status, done.records_written) == (Status.SUCCEEDED, 4000)


def test_the_page_shows_how_far_each_limit_is_and_a_file_has_the_months(world: World) -> None:
    make_any_pipeline(world)
    limit(world, max_rows_month=1000, max_pipelines=1)
    with world.scope():
        Usage.unscoped.create(org=world.org, month=usage.this_month(), rows=800, bytes=5, runs=2)
    shown = world.client("viewer").get("/api/v1/org/usage").json()
    limits = {each["name"]: each for each in shown["limits"]}
    assert limits["rows_month"] == {
        "name": "rows_month",
        "used": 800,
        "limit": 1000,
        "state": "warning",
    }
    assert limits["pipelines"]["state"] == "reached"
    assert limits["bytes_month"]["limit"] is None
    file = world.client("admin").get("/api/v1/org/usage/export").content.decode()
    assert file.splitlines()[1] == f"{usage.this_month()},800,5,2"
    assert world.client("viewer").get("/api/v1/org/usage/export").status_code == 403


def test_the_limit_of_pipelines(world: World) -> None:
    limit(world, max_pipelines=0)
    body = {
        "name": "x",
        "config": {
            "source": {"kind": "dummy", "config": {"rows": 3}},
            "streams": [{"stream": "generated"}],
            "destination": {"kind": "logger", "config": {}},
        },
    }
    refused = world.client().post("/api/v1/pipelines", body)
    assert (refused.status_code, refused.json()["what"]) == (409, "pipelines")


@pytest.mark.parametrize(
    ("used_", "most", "state"),
    [
        (0, None, "ok"),
        (79, 100, "ok"),
        (80, 100, "warning"),
        (100, 100, "reached"),
        (0, 0, "reached"),
    ],
)
def test_states_of_a_measure(used_: int, most: int | None, state: str) -> None:
    assert Measure("x", used_, most).state == state


def test_the_trigger_writes_only_in_the_runs_own_org(world: World, stranger: World) -> None:
    pipeline = make_any_pipeline(world)
    with world.scope():
        run = Run.unscoped.create(
            org=world.org, pipeline=pipeline, version=1, status="failed", trigger="manual"
        )
    with stranger.scope(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE runs_run SET records_written = 9 WHERE id = %s", [run.pk])
        assert cursor.rowcount == 0
    assert (used(world)[0], used(stranger)[0]) == (0, 0)
