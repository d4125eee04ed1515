"""A pipeline starts after others have succeeded, once for each set of successes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.orgs.roles import Role
from apps.pipelines.models import Dependency, Pipeline, Schedule
from apps.runs.dependents import starting
from apps.runs.models import Backfill, Status, Trigger
from tests.runs.claiming.test_blackouts import today
from tests.runs.claiming.test_scheduling import create_schedule
from tests.runs.conftest import make_pipeline
from tests.runs.dependents.conftest import (
    chain,
    dependencies_of,
    end,
    execute_deferred_jobs,
    live_runs,
    run_after,
    start_run,
    started_runs,
    succeed,
)
from tests.runs.test_closed_orgs import update_org
from tests.world import World


def test_a_pipeline_starts_once_after_the_success_of_another(world: World) -> None:
    orders, report = chain(world, "Orders", "Report")

    succeed(world, orders)

    (run,) = started_runs(world, report)
    assert run.status == Status.PENDING
    assert starting.tick() == 0
    assert not starting.start_if_ready(org_id=world.org.pk, pipeline_id=report.pk)
    assert len(started_runs(world, report)) == 1
    shown = world.client(Role.VIEWER).get(f"/api/v1/runs/{run.pk}").json()
    assert shown["trigger"] == "dependency"
    assert [one["pipeline_id"] for one in shown["upstream_runs"]] == [str(orders.pk)]


def test_the_tick_starts_what_a_lost_job_has_not_started(world: World) -> None:
    orders, report = chain(world, "Orders", "Report")
    run = start_run(world, orders)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starting, "start_around", lambda **_: 0)
        end(world, run)
    assert started_runs(world, report) == []

    assert starting.tick() == 1
    assert len(started_runs(world, report)) == 1


def test_an_end_that_is_rolled_back_starts_nothing(world: World) -> None:
    orders, report = chain(world, "Orders", "Report")
    run = start_run(world, orders)
    with transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.runs.dependents.conftest.execute_deferred_jobs", lambda: 0)
        end(world, run)
        transaction.set_rollback(True)
    assert execute_deferred_jobs() == 0
    assert starting.tick() == 0
    assert started_runs(world, report) == []


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_a_run_that_has_not_succeeded_starts_nothing(world: World, status: Status) -> None:
    orders, report = chain(world, "Orders", "Report")
    end(world, start_run(world, orders), status)
    assert started_runs(world, report) == []
    assert starting.tick() == 0


def test_replays_and_chunks_of_backfills_start_nothing(world: World) -> None:
    orders, report = chain(world, "Orders", "Report")
    with world.scope():
        backfill = Backfill.unscoped.create(
            org=world.org, pipeline=orders, version=1, stream="generated", mode="merge",
            bounds=["1", "2"], rows_counted=False,
        )  # fmt: skip
    succeed(world, orders, trigger=Trigger.REPLAY)
    succeed(world, orders, trigger=Trigger.BACKFILL, backfill=backfill, chunk=0)
    assert starting.tick() == 0
    assert started_runs(world, report) == []


def test_a_pipeline_waits_for_all_others(world: World) -> None:
    orders, customers, report = (make_pipeline(world, name=n) for n in ("Orders", "Customers", "R"))
    run_after(world, report, orders, customers)

    succeed(world, orders)
    succeed(world, orders)
    assert started_runs(world, report) == []
    assert starting.tick() == 0
    assert dependencies_of(world, report)["reason"] == (
        "Waits for Customers, which has no new success."
    )
    succeed(world, customers)

    (run,) = started_runs(world, report)
    end(world, run)
    succeed(world, customers)
    assert len(started_runs(world, report)) == 1, "Orders has not succeeded again"
    succeed(world, orders)
    assert len(started_runs(world, report)) == 2


def test_a_pipeline_starts_after_any_other(world: World) -> None:
    orders, customers, report = (make_pipeline(world, name=n) for n in ("Orders", "Customers", "R"))
    run_after(world, report, orders, customers, mode="any")

    succeed(world, orders)
    (run,) = started_runs(world, report)
    end(world, run)
    end(world, start_run(world, customers), Status.FAILED)
    succeed(world, orders)

    assert len(started_runs(world, report)) == 2


def test_a_success_that_is_older_than_the_window_does_not_count(world: World) -> None:
    orders, customers, report = (make_pipeline(world, name=n) for n in ("Orders", "Customers", "R"))
    run_after(world, report, orders, customers)
    let_time_pass(world, timedelta(hours=3))
    run_after(world, report, orders, customers, window_seconds=2 * 3600)
    end(world, start_run(world, orders), at=timezone.now() - timedelta(hours=2, minutes=1))

    succeed(world, customers)

    assert started_runs(world, report) == []
    assert starting.tick() == 0
    shown = dependencies_of(world, report)
    assert [row["state"] for row in shown["upstreams"]] == ["ready", "too_old"]
    assert "is older than 2 hours" in shown["reason"]
    succeed(world, orders)
    assert len(started_runs(world, report)) == 1


def let_time_pass(world: World, time: timedelta) -> None:
    """Move the beginning of the dependencies into the past."""
    with world.scope():
        rows = Dependency.objects.for_org(world.org)
        rows.update(used_until=F("used_until") - time)


def test_successes_from_before_the_dependency_start_nothing(world: World) -> None:
    orders, report = (make_pipeline(world, name=n) for n in ("Orders", "Report"))
    succeed(world, orders)
    run_after(world, report, orders)
    assert starting.tick() == 0
    assert started_runs(world, report) == []


def test_successes_that_come_while_it_runs_start_it_once_more(world: World) -> None:
    orders, report = chain(world, "Orders", "Report")
    succeed(world, orders)
    (first,) = started_runs(world, report)
    for _ in range(3):
        succeed(world, orders)
    assert len(live_runs(world, report)) == 1
    assert dependencies_of(world, report)["reason"] == (
        "It starts once more when its current run has ended."
    )

    end(world, first, Status.FAILED)

    second = started_runs(world, report)[1:]
    assert len(second) == 1
    end(world, second[0])
    assert len(started_runs(world, report)) == 2


def test_a_failed_pipeline_stops_what_is_behind_it_and_the_reason_names_it(world: World) -> None:
    orders, report, mail = chain(world, "Orders", "Report", "Mail")
    end(world, start_run(world, orders), Status.FAILED)

    with world.scope():
        at = Pipeline.objects.for_org(world.org).get(pk=orders.pk).failing_since
    assert at is not None
    failed = f"Orders, which failed at {at:%Y-%m-%d %H:%M} UTC."
    shown = dependencies_of(world, report)
    assert (shown["state"], shown["reason"]) == ("blocked", f"Waits for {failed}")
    assert shown["upstreams"][0]["state"] == "failed"
    assert shown["downstreams"] == [{"id": str(mail.pk), "name": "Mail"}]
    shown = dependencies_of(world, mail)
    assert (shown["state"], shown["reason"]) == (
        "blocked",
        f"Waits for Report, which waits for {failed}",
    )

    succeed(world, orders)
    assert len(started_runs(world, report)) == 1
    assert dependencies_of(world, mail)["reason"] == "Waits for Report, which is running."


def test_a_failure_after_a_success_stops_a_pipeline_that_waits_for_all(world: World) -> None:
    orders, customers, report = (make_pipeline(world, name=n) for n in ("Orders", "Customers", "R"))
    run_after(world, report, orders, customers)
    succeed(world, orders)
    end(world, start_run(world, orders), Status.FAILED)
    succeed(world, customers)
    assert started_runs(world, report) == []
    assert starting.tick() == 0
    succeed(world, orders)
    assert len(started_runs(world, report)) == 1


def set_paused(world: World, pipeline: Pipeline, paused: bool) -> None:
    with world.scope():
        Schedule.unscoped.update_or_create(
            org=world.org,
            pipeline=pipeline,
            defaults={"cron": "0 6 * * *", "paused_at": timezone.now() if paused else None},
        )


def set_disabled(world: World, pipeline: Pipeline, disabled: bool) -> None:
    action = "disable" if disabled else "enable"
    answer = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/{action}", {})
    assert answer.status_code == 200


@pytest.mark.parametrize(("stop", "state"), [(set_paused, "paused"), (set_disabled, "disabled")])
def test_a_stopped_pipeline_starts_once_when_it_is_active_again(
    world: World, stop: object, state: str
) -> None:
    assert callable(stop)
    orders, report = chain(world, "Orders", "Report")
    stop(world, report, True)
    succeed(world, orders)
    succeed(world, orders)
    assert started_runs(world, report) == []
    assert starting.tick() == 0
    shown = dependencies_of(world, report)
    assert shown["state"] == state
    assert state in shown["reason"]

    stop(world, report, False)

    assert dependencies_of(world, report)["reason"] == "It starts in a few seconds."
    assert starting.tick() == 1
    assert len(started_runs(world, report)) == 1


def test_a_pipeline_waits_until_the_blackout_of_its_schedule_has_ended(world: World) -> None:
    orders, report = chain(world, "Orders", "Report")
    schedule = create_schedule(world, report, blackouts=[today()], next_run_at=None)
    succeed(world, orders)
    assert starting.tick() == 0
    assert started_runs(world, report) == []
    found = dependencies_of(world, report)
    assert found["state"] == "blackout"
    assert found["reason"].startswith("The schedule of this pipeline has a blackout until ")

    with world.scope():
        Schedule.objects.for_org(world.org).filter(pk=schedule.pk).update(blackouts=[])
    assert starting.tick() == 1
    assert len(started_runs(world, report)) == 1


def test_a_suspended_org_starts_nothing(world: World) -> None:
    orders, report = chain(world, "Orders", "Report")
    run = start_run(world, orders)
    update_org(world, suspended_at=timezone.now(), suspended_because="Unpaid.")
    end(world, run)
    assert starting.tick() == 0
    assert started_runs(world, report) == []
    update_org(world, suspended_at=None, suspended_because="")
    assert starting.tick() == 1


def test_a_run_that_nothing_depends_on_defers_no_job(world: World) -> None:
    orders, report = chain(world, "Orders", "Report")
    other = make_pipeline(world)
    with pytest.MonkeyPatch.context() as patch:
        deferred: list[object] = []
        patch.setattr("apps.background.jobs.defer", lambda task, **_: deferred.append(task))
        patch.setattr("apps.alerts.sending.queue.deliver_soon", lambda **_: None)
        succeed(world, other)
        end(world, start_run(world, orders), Status.FAILED)
        assert deferred == []
        end(world, start_run(world, report), Status.FAILED)
        assert deferred == [starting.START_TASK]
