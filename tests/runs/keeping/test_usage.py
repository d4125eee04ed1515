"""The database counts the usage of an org. Near a limit there is a warning, and at the limit runs stop."""

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
from tests.runs.claiming.test_attempts import last_log_line, work_until_idle
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start_run
from tests.world import World
from tests.world import make_pipeline as make_any_pipeline


def set_limits(world: World, **limits: int) -> None:
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(**limits)
    for name, value in limits.items():
        setattr(world.org, name, value)


def counted_usage(world: World) -> tuple[int, int]:
    with world.scope():
        row = usage.read_month(world.org.pk)
    return row.rows, row.runs


def read_newest_run(world: World) -> Run:
    with world.scope():
        run = Run.objects.for_org(world.org).order_by("-created_at").first()
    assert run is not None
    return run


def test_usage_stays_counted_after_the_pipeline_is_deleted(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 250})
    for _ in range(2):
        start_run(acme, pipeline)
        work_until_idle(this_worker)
    assert counted_usage(acme) == (500, 2)
    assert acme.client().delete(f"/api/v1/pipelines/{pipeline.pk}").status_code == 204
    assert counted_usage(acme) == (500, 2)


def test_a_decreasing_counter_of_a_run_does_not_reduce_the_usage(world: World) -> None:
    pipeline = make_any_pipeline(world)
    with world.scope():
        run = Run.unscoped.create(
            org=world.org, pipeline=pipeline, version=1, status="failed", trigger="manual"
        )
        for written in (100, 40, 70):
            Run.objects.for_org(world.org).filter(pk=run.pk).update(records_written=written)
    assert counted_usage(world)[0] == 130


def test_at_the_limit_a_manual_run_is_rejected_and_a_scheduled_run_fails(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 250})
    set_limits(acme, max_rows_month=200)
    start_run(acme, pipeline)
    work_until_idle(this_worker)
    # The run succeeds, because it ends before the next check of the limit.
    assert read_newest_run(acme).status == Status.SUCCEEDED
    refused = acme.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached")
    assert "200 records per month" in refused.json()["detail"]
    with acme.scope():
        services.start(org=acme.org, by=SYSTEM, pipeline_id=pipeline.pk, trigger=Trigger.SCHEDULE)
    work_until_idle(this_worker)
    failed_run = read_newest_run(acme)
    assert (failed_run.status, failed_run.failure_class) == (Status.FAILED, "configuration")
    assert "limit of 200 records per month" in failed_run.failure_message
    assert failed_run.failure_retryable is False


def test_a_run_that_reaches_the_limit_fails_and_can_continue_after_the_limit_is_raised(
    acme: World, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit_watch, "CHECK_INTERVAL", 0.1)
    slow_source = {"rows": 4000, "page_size": 200, "delay": 0.2}
    pipeline = make_pipeline(acme, source=slow_source, write_mode="append")
    set_limits(acme, max_rows_month=400)
    start_run(acme, pipeline)
    work_until_idle(this_worker)
    stopped_run = read_newest_run(acme)
    assert stopped_run.status == Status.FAILED
    assert "limit of 400 records per month" in stopped_run.failure_message
    assert (
        last_log_line(acme, stopped_run.pk)
        == f"Failed (configuration): {stopped_run.failure_message}"
    )
    assert 0 < stopped_run.records_written < 4000
    set_limits(acme, max_rows_month=1_000_000)
    retried = acme.client().post(f"/api/v1/runs/{stopped_run.pk}/retry", {})
    assert retried.status_code == 200, retried.content
    work_until_idle(this_worker)
    finished_run = read_newest_run(acme)
    assert (finished_run.status, finished_run.records_written) == (Status.SUCCEEDED, 4000)


def test_the_api_returns_the_state_of_each_limit_and_exports_the_months(world: World) -> None:
    make_any_pipeline(world)
    set_limits(world, max_rows_month=1000, max_pipelines=1)
    with world.scope():
        Usage.unscoped.create(org=world.org, month=usage.this_month(), rows=800, bytes=5, runs=2)
    usage_of_org = world.client("viewer").get("/api/v1/org/usage").json()
    limits = {limit["name"]: limit for limit in usage_of_org["limits"]}
    assert limits["rows_month"] == {
        "name": "rows_month",
        "used": 800,
        "limit": 1000,
        "state": "warning",
    }
    assert limits["pipelines"]["state"] == "reached"
    assert limits["bytes_month"]["limit"] is None
    csv_text = world.client("admin").get("/api/v1/org/usage/export").content.decode()
    assert csv_text.splitlines()[1] == f"{usage.this_month()},800,5,2"
    assert world.client("viewer").get("/api/v1/org/usage/export").status_code == 403


def test_a_pipeline_over_the_limit_is_rejected(world: World) -> None:
    set_limits(world, max_pipelines=0)
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


def test_a_copy_over_the_limit_is_rejected(world: World) -> None:
    pipeline = make_pipeline(world)
    set_limits(world, max_pipelines=1)
    refused = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/duplicate", {})
    assert (refused.status_code, refused.json()["what"]) == (409, "pipelines")


@pytest.mark.parametrize(
    ("used", "limit", "state"),
    [
        (0, None, "ok"),
        (79, 100, "ok"),
        (80, 100, "warning"),
        (100, 100, "reached"),
        (0, 0, "reached"),
    ],
)
def test_the_state_of_a_limit_depends_on_the_used_share(
    used: int, limit: int | None, state: str
) -> None:
    assert Measure("x", used, limit).state == state


def test_usage_is_counted_only_in_the_org_of_the_run(world: World, stranger: World) -> None:
    pipeline = make_any_pipeline(world)
    with world.scope():
        run = Run.unscoped.create(
            org=world.org, pipeline=pipeline, version=1, status="failed", trigger="manual"
        )
    with stranger.scope(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE runs_run SET records_written = 9 WHERE id = %s", [run.pk])
        assert cursor.rowcount == 0
    assert (counted_usage(world)[0], counted_usage(stranger)[0]) == (0, 0)
