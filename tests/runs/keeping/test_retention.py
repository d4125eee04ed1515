"""Logs, events, runs and audit events of an org are removed after the number of days that the org has chosen."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apps.background import sweeping
from apps.orgs.models import AuditEvent, Org
from apps.runs.execute import Worker
from apps.runs.following.feed import RunFeed
from apps.runs.keeping import retention
from apps.runs.models import Event, LogPart, Output, Run
from apps.runs.outputs import storage
from tests import database
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start_run
from tests.world import World, make_world
from tests.world import make_pipeline as make_any_pipeline


def create_ended_run(worker: Worker, world: World, *, days_ago: int = 0, **fields: Any) -> UUID:
    """Create a run that ended this number of days ago."""
    run_id = start_run(world, make_pipeline(world, **fields))
    work_until_idle(worker)
    set_age(world, run_id, days_ago)
    return run_id


def set_age(world: World, run_id: UUID, days: int) -> None:
    time = timezone.now() - timedelta(days=days)
    with world.scope():
        Run.objects.for_org(world.org).filter(pk=run_id).update(created_at=time, finished_at=time)
        Event.objects.for_org(world.org).filter(run_id=run_id).update(at=time)


def set_retention(world: World, **days: int | None) -> None:
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(**days)


def run_folder(world: World, run_id: UUID) -> Path:
    from django.core.files.storage import default_storage

    return Path(default_storage.path(storage.run_folder(world.org.pk, run_id)))


def read_log(world: World, run_id: UUID) -> dict[str, Any]:
    log: dict[str, Any] = world.client("viewer").get(f"/api/v1/runs/{run_id}/logs").json()
    return log


def test_a_log_is_removed_after_the_retention_of_the_org_and_readers_get_a_note(
    acme: World, this_worker: Worker
) -> None:
    old_run, recent_run = (
        create_ended_run(this_worker, acme, days_ago=91),
        create_ended_run(this_worker, acme, days_ago=89),
    )
    other_world = make_world()
    set_retention(other_world, keep_logs_days=None)
    other_run = create_ended_run(this_worker, other_world, days_ago=4000)

    assert retention.remove_expired_data().logs == 1

    log = read_log(acme, old_run)
    assert (log["lines"], log["next_offset"], log["complete"]) == ([], None, True)
    assert log["note"] == "The log of this run was removed after 90 days."
    assert log["removed"] == log["total"] > 0
    assert not run_folder(acme, old_run).exists()
    with acme.scope():
        assert not LogPart.objects.for_org(acme.org).filter(run_id=old_run).exists()
        assert Output.objects.for_org(acme.org).filter(run_id=old_run).exists()
    for world, run in ((acme, recent_run), (other_world, other_run)):
        assert (read_log(world, run)["note"], read_log(world, run)["removed"]) == ("", 0)
        assert read_log(world, run)["lines"]
    assert retention.remove_expired_data() == retention.RemovedCounts(0, 0, 0, 0, 0)


def test_a_failed_removal_is_repeated_and_does_not_prevent_other_removals(
    acme: World, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_run = create_ended_run(this_worker, acme, days_ago=91)
    other_run = create_ended_run(this_worker, acme, days_ago=91)
    requested_runs: list[UUID] = []

    def remove_or_fail(org_id: UUID, run_id: UUID, *, end_line: int) -> None:
        requested_runs.append(run_id)
        if run_id == failing_run:
            raise OSError("the disk is read only")
        remove_log(org_id, run_id, end_line=end_line)

    remove_log = storage.remove_log
    with monkeypatch.context() as patch:
        patch.setattr(storage, "remove_log", remove_or_fail)
        retention.remove_expired_data()
    assert set(requested_runs) == {failing_run, other_run}
    assert run_folder(acme, failing_run).exists()
    assert not run_folder(acme, other_run).exists()
    assert read_log(acme, failing_run)["note"]
    retention.remove_expired_data()
    assert not run_folder(acme, failing_run).exists()
    with acme.scope():
        assert not LogPart.objects.for_org(acme.org).exists()


def test_a_locked_run_does_not_prevent_the_removal_of_other_runs(
    acme: World, this_worker: Worker
) -> None:
    locked_run, other_run = (
        create_ended_run(this_worker, acme, days_ago=92),
        create_ended_run(this_worker, acme, days_ago=91),
    )
    with psycopg.connect(database.url_of(database.process_database_name())) as conn:
        conn.execute("SELECT FROM runs_run WHERE id = %s FOR UPDATE", [locked_run])
        assert retention.remove_expired_data().logs == 1
        assert run_folder(acme, locked_run).exists()
        assert not run_folder(acme, other_run).exists()
    assert retention.remove_expired_data().logs == 1
    assert not run_folder(acme, locked_run).exists()


def test_a_retried_run_keeps_its_new_log_lines(acme: World, this_worker: Worker) -> None:
    run_id = create_ended_run(
        this_worker,
        acme,
        days_ago=91,
        source={"rows": 9, "fail_after": 0, "failure": "configuration"},
    )
    with acme.scope():
        assert Run.objects.for_org(acme.org).get(pk=run_id).status == "failed"
    retention.remove_expired_data()
    removed = read_log(acme, run_id)["total"]
    assert acme.client().post(f"/api/v1/runs/{run_id}/retry").status_code == 200
    retention.remove_expired_data()  # removes nothing, because the run is live
    work_until_idle(this_worker)
    log = read_log(acme, run_id)
    assert log["removed"] == removed
    assert log["lines"][0]["line"] == removed
    assert log["note"] == f"The first {removed:,} lines were removed after 90 days."


def test_data_of_live_runs_is_not_removed(acme: World) -> None:
    set_retention(acme, keep_logs_days=1, keep_runs_days=1, keep_events_days=1)
    run_id = start_run(acme, make_pipeline(acme))
    set_age(acme, run_id, 400)
    with acme.scope():
        Run.objects.for_org(acme.org).update(finished_at=None, log_lines=5)
    # As if the run was started after it was selected.
    assert not retention.begin_log_removal(acme.org.pk, run_id)
    assert retention.remove_expired_data() == retention.RemovedCounts(0, 0, 0, 0, 0)


def test_runs_are_removed_only_if_configured_and_never_the_newest_run_or_runs_with_files(
    acme: World, this_worker: Worker
) -> None:
    # Each run replaces the files of the previous run.
    pipeline = make_pipeline(acme, source={"rows": 20})
    runs = []
    for days in (300, 200, 100):
        runs.append(start_run(acme, pipeline))
        work_until_idle(this_worker)
        set_age(acme, runs[-1], days)
    assert retention.remove_expired_data().runs == 0
    set_retention(acme, keep_runs_days=150)
    assert retention.remove_expired_data().runs == 2
    set_retention(acme, keep_runs_days=1)
    assert retention.remove_expired_data().runs == 0  # the newest run is not removed
    with acme.scope():
        assert list(Run.objects.for_org(acme.org).values_list("pk", flat=True)) == [runs[2]]
        assert not Event.objects.for_org(acme.org).exclude(run_id=runs[2]).exists()
    assert [run_folder(acme, run_id).exists() for run_id in runs] == [False] * 3


def test_run_events_are_removed_after_the_retention_of_the_org_and_other_events_after_one_day(
    acme: World, this_worker: Worker
) -> None:
    old_run, recent_run = (
        create_ended_run(this_worker, acme, days_ago=91),
        create_ended_run(this_worker, acme, days_ago=5),
    )
    sweeping.sweep()
    assert event_kinds(acme, old_run) == event_kinds(acme, recent_run) == {"run"}
    assert retention.remove_expired_data().events > 0
    assert (event_kinds(acme, old_run), event_kinds(acme, recent_run)) == (set(), {"run"})
    run_feed = RunFeed(acme.org.pk, recent_run)
    # Some events are missing, so the feed returns the current state.
    assert run_feed.backlog_after(0) == run_feed.first_backlog()
    connection.close()


def event_kinds(world: World, run_id: UUID) -> set[str]:
    with world.scope():
        events = Event.objects.for_org(world.org).filter(run_id=run_id)
        return set(events.values_list("kind", flat=True))


def test_old_audit_events_are_removed_only_by_the_database_function_which_adds_an_event(
    acme: World,
) -> None:
    other_world = make_world()
    for world in (acme, other_world):
        add_audit_events(world, days_ago=(400, 366, 364))
    set_retention(other_world, keep_audit_days=None)
    before = audit_events(acme)
    assert retention.remove_expired_data().audit == 2
    after = audit_events(acme)
    assert after[-1].action == "audit.prune"
    assert after[-1].actor_kind == "system"
    assert after[-1].changes["removed"] == [None, 2]
    assert [event.pk for event in after[:-1]] == [event.pk for event in before[2:]]
    assert "audit.prune" not in {event.action for event in audit_events(other_world)}
    with acme.scope(), pytest.raises(DatabaseError), transaction.atomic():
        AuditEvent.objects.for_org(acme.org).filter(pk=after[0].pk).delete()


def add_audit_events(world: World, *, days_ago: tuple[int, ...]) -> None:
    with world.scope():
        for days in days_ago:
            time = timezone.now() - timedelta(days=days)
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO orgs_auditevent (id, org_id, at, actor_kind, actor_label, action, object_kind,"
                    " object_label, changes) VALUES (%s, %s, %s, 'system', '', 'x', 'y', '', '{}')",
                    [uuid4(), world.org.pk, time],
                )


def audit_events(world: World) -> list[AuditEvent]:
    with world.scope():
        return list(AuditEvent.objects.for_org(world.org).order_by("at", "id"))


def test_audit_events_must_be_stored_for_at_least_a_year(world: World) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        set_retention(world, keep_audit_days=364)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"keep_logs_days": 30, "keep_runs_days": 400}, 200),
        ({"keep_logs_days": None, "keep_events_days": None, "keep_audit_days": None}, 200),
        ({"keep_audit_days": 364}, 422),
        ({"keep_logs_days": 0}, 422),
        ({"keep_runs_days": 36_501}, 422),
    ],
)
def test_only_an_admin_may_set_a_valid_retention_and_the_change_is_audited(
    world: World, change: dict[str, Any], status: int
) -> None:
    answer = world.client("admin").patch("/api/v1/org", change)
    assert answer.status_code == status, answer.json()
    assert world.client("viewer").patch("/api/v1/org", change).status_code == 403
    if status == 200:
        assert {name: answer.json()[name] for name in change} == change
        assert audit_events(world)[-1].changes.keys() == change.keys()


def test_the_size_of_stored_data_is_read_with_one_query(
    acme: World, this_worker: Worker, django_assert_num_queries: Any
) -> None:
    run_id = create_ended_run(this_worker, acme)
    create_ended_run(this_worker, make_world())
    with acme.scope(), django_assert_num_queries(1):
        retention.stored_amounts(acme.org)
    stored_data = acme.client("viewer").get("/api/v1/org/usage").json()["kept"]
    values = {row["name"]: (row["days"], row["rows"], row["bytes"]) for row in stored_data}
    with acme.scope():
        (part,) = LogPart.objects.for_org(acme.org).filter(run_id=run_id)
        (output,) = Output.objects.for_org(acme.org).filter(run_id=run_id)
    assert values["logs"] == (90, part.lines, part.bytes)
    assert values["outputs"] == (None, 1, output.bytes)
    assert values["events"][0] == 90
    assert values["events"][2] > 0
    assert values["runs"] == (None, 1, None)
    assert values["audit"][0] == 365


def test_a_log_that_is_removed_during_a_request_is_recognized(world: World) -> None:
    pipeline = make_any_pipeline(world)
    with world.scope():
        run = Run.unscoped.create(
            org=world.org,
            pipeline=pipeline,
            version=1,
            status="failed",
            trigger="manual",
            log_lines=3,
        )
        LogPart.unscoped.create(
            org=world.org, run=run, first_line=0, lines=3, bytes=9, key="org/gone", levels={}
        )
        assert not retention.was_log_removed_since_read(run)
        Run.objects.for_org(world.org).filter(pk=run.pk).update(log_removed=3)
        assert retention.was_log_removed_since_read(run)
