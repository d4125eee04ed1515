"""Expired data of an org is removed, after its own number of days: logs, events, runs, and audit events after at
least a year.
"""

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
from apps.runs.following import feed as followed
from apps.runs.keeping import retention
from apps.runs.models import Event, LogPart, Output, Run
from apps.runs.outputs import storage
from tests import database
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start
from tests.world import World, make_world
from tests.world import make_pipeline as make_any_pipeline


def ran(worker: Worker, world: World, *, days_ago: int = 0, **fields: Any) -> UUID:
    """A run that ended that long ago."""
    run_id = start(world, make_pipeline(world, **fields))
    work_until_idle(worker)
    age(world, run_id, days_ago)
    return run_id


def age(world: World, run_id: UUID, days: int) -> None:
    then = timezone.now() - timedelta(days=days)
    with world.scope():
        Run.objects.for_org(world.org).filter(pk=run_id).update(created_at=then, finished_at=then)
        Event.objects.for_org(world.org).filter(run_id=run_id).update(at=then)


def keep(world: World, **days: int | None) -> None:
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(**days)


def folder(world: World, run_id: UUID) -> Path:
    from django.core.files.storage import default_storage

    return Path(default_storage.path(storage.run_folder(world.org.pk, run_id)))


def log(world: World, run_id: UUID) -> dict[str, Any]:
    found: dict[str, Any] = world.client("viewer").get(f"/api/v1/runs/{run_id}/logs").json()
    return found


def test_a_log_expires_after_the_orgs_days_and_readers_get_a_note(
    acme: World, this_worker: Worker
) -> None:
    old, young = ran(this_worker, acme, days_ago=91), ran(this_worker, acme, days_ago=89)
    other = make_world()
    keep(other, keep_logs_days=None)
    theirs = ran(this_worker, other, days_ago=4000)

    assert retention.remove_expired_data().logs == 1

    said = log(acme, old)
    assert (said["lines"], said["next_offset"], said["complete"]) == ([], None, True)
    assert said["note"] == "The log of this run was removed after 90 days."
    assert said["removed"] == said["total"] > 0
    assert not folder(acme, old).exists()
    with acme.scope():
        assert not LogPart.objects.for_org(acme.org).filter(run_id=old).exists()
        assert Output.objects.for_org(acme.org).filter(run_id=old).exists()
    for world, kept in ((acme, young), (other, theirs)):
        assert (log(world, kept)["note"], log(world, kept)["removed"]) == ("", 0)
        assert log(world, kept)["lines"]
    assert retention.remove_expired_data() == retention.RemovedCounts(0, 0, 0, 0)


def test_an_interrupted_removal_continues_and_is_shown_meanwhile(
    acme: World, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ran(this_worker, acme, days_ago=91)
    fine = ran(this_worker, acme, days_ago=91)
    asked: list[UUID] = []

    def remove(org_id: UUID, run_id: UUID, *, before: int) -> None:
        asked.append(run_id)
        if run_id == broken:
            raise OSError("the disk is read only")
        remove_really(org_id, run_id, before=before)

    remove_really = storage.remove_log
    with monkeypatch.context() as patch:
        patch.setattr(storage, "remove_log", remove)
        retention.remove_expired_data()
    assert set(asked) == {broken, fine}  # a failure does not prevent the others
    assert folder(acme, broken).exists()
    assert not folder(acme, fine).exists()
    assert log(acme, broken)["note"]
    retention.remove_expired_data()
    assert not folder(acme, broken).exists()
    with acme.scope():
        assert not LogPart.objects.for_org(acme.org).exists()


def test_what_another_process_holds_keeps_nothing_else(acme: World, this_worker: Worker) -> None:
    held, free = ran(this_worker, acme, days_ago=92), ran(this_worker, acme, days_ago=91)
    with psycopg.connect(database.url_of(database.worker_database())) as other:
        other.execute("SELECT FROM runs_run WHERE id = %s FOR UPDATE", [held])
        assert retention.remove_expired_data().logs == 1
        assert folder(acme, held).exists()
        assert not folder(acme, free).exists()
    assert retention.remove_expired_data().logs == 1
    assert not folder(acme, held).exists()


def test_a_run_that_is_tried_again_keeps_its_new_lines(acme: World, this_worker: Worker) -> None:
    run_id = ran(
        this_worker,
        acme,
        days_ago=91,
        source={"rows": 9, "fail_after": 0, "failure": "configuration"},
    )
    with acme.scope():
        assert Run.objects.for_org(acme.org).get(pk=run_id).status == "failed"
    retention.remove_expired_data()
    gone = log(acme, run_id)["total"]
    assert acme.client().post(f"/api/v1/runs/{run_id}/retry").status_code == 200
    retention.remove_expired_data()  # it is live: nothing is removed
    work_until_idle(this_worker)
    said = log(acme, run_id)
    assert said["removed"] == gone
    assert said["lines"][0]["line"] == gone
    assert said["note"] == f"The first {gone:,} lines were removed after 90 days."


def test_live_runs_are_never_touched(acme: World) -> None:
    keep(acme, keep_logs_days=1, keep_runs_days=1, keep_events_days=1)
    run_id = start(acme, make_pipeline(acme))
    age(acme, run_id, 400)
    with acme.scope():
        Run.objects.for_org(acme.org).update(finished_at=None, log_lines=5)
    assert not retention.begin_log_removal(
        acme.org.pk, run_id
    )  # as if it was started after it was found
    assert retention.remove_expired_data() == retention.RemovedCounts(0, 0, 0, 0)


def test_runs_stay_unless_the_org_wants_otherwise_and_the_newest_and_those_with_files_always(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(
        acme, source={"rows": 20}
    )  # a run replaces the files of the previous one
    runs = []
    for days in (300, 200, 100):
        runs.append(start(acme, pipeline))
        work_until_idle(this_worker)
        age(acme, runs[-1], days)
    assert retention.remove_expired_data().runs == 0
    keep(acme, keep_runs_days=150)
    assert retention.remove_expired_data().runs == 2
    keep(acme, keep_runs_days=1)
    assert retention.remove_expired_data().runs == 0  # the newest
    with acme.scope():
        assert list(Run.objects.for_org(acme.org).values_list("pk", flat=True)) == [runs[2]]
        assert not Event.objects.for_org(acme.org).exclude(run_id=runs[2]).exists()
    assert [folder(acme, run_id).exists() for run_id in runs] == [False] * 3


def test_events_of_the_orgs_stream_go_after_its_days_and_the_others_after_one(
    acme: World, this_worker: Worker
) -> None:
    old, young = ran(this_worker, acme, days_ago=91), ran(this_worker, acme, days_ago=5)
    sweeping.sweep()
    assert kinds(acme, old) == kinds(acme, young) == {"run"}
    assert retention.remove_expired_data().events > 0
    assert (kinds(acme, old), kinds(acme, young)) == (set(), {"run"})
    source = followed.RunFeed(acme.org.pk, young)
    assert (
        source.after(0) == source.begin()
    )  # some are missing: the current state instead, and no gap
    connection.close()


def kinds(world: World, run_id: UUID) -> set[str]:
    with world.scope():
        events = Event.objects.for_org(world.org).filter(run_id=run_id)
        return set(events.values_list("kind", flat=True))


def test_the_trail_is_pruned_by_its_function_alone_which_leaves_an_event(acme: World) -> None:
    other = make_world()
    for world in (acme, other):
        add_audit(world, days=(400, 366, 364))
    keep(other, keep_audit_days=None)
    before = trail(acme)
    assert retention.remove_expired_data().audit == 2
    after = trail(acme)
    assert after[-1].action == "audit.prune"
    assert after[-1].actor_kind == "system"
    assert after[-1].changes["removed"] == [None, 2]
    assert [event.pk for event in after[:-1]] == [event.pk for event in before[2:]]
    assert "audit.prune" not in {event.action for event in trail(other)}
    with acme.scope(), pytest.raises(DatabaseError), transaction.atomic():
        AuditEvent.objects.for_org(acme.org).filter(pk=after[0].pk).delete()


def add_audit(world: World, *, days: tuple[int, ...]) -> None:
    with world.scope():
        for count in days:
            event = AuditEvent(org=world.org, actor_kind="system", action="x", object_kind="y")
            event.at = timezone.now() - timedelta(days=count)
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO orgs_auditevent (id, org_id, at, actor_kind, actor_label, action, object_kind,"
                    " object_label, changes) VALUES (%s, %s, %s, 'system', '', 'x', 'y', '', '{}')",
                    [uuid4(), world.org.pk, event.at],
                )


def trail(world: World) -> list[AuditEvent]:
    with world.scope():
        return list(AuditEvent.objects.for_org(world.org).order_by("at", "id"))


def test_a_trail_is_kept_for_a_year_at_least(world: World) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        keep(world, keep_audit_days=364)


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
def test_an_admin_sets_the_days_and_the_audit_log_shows_it(
    world: World, change: dict[str, Any], status: int
) -> None:
    answer = world.client("admin").patch("/api/v1/org", change)
    assert answer.status_code == status, answer.json()
    assert world.client("viewer").patch("/api/v1/org", change).status_code == 403
    if status == 200:
        assert {name: answer.json()[name] for name in change} == change
        assert trail(world)[-1].changes.keys() == change.keys()


def test_what_is_kept_is_shown_with_its_size_in_one_query(
    acme: World, this_worker: Worker, django_assert_num_queries: Any
) -> None:
    run_id = ran(this_worker, acme)
    ran(this_worker, make_world())
    with acme.scope(), django_assert_num_queries(1):
        retention.stored_amounts(acme.org)
    shown = acme.client("viewer").get("/api/v1/org/usage").json()["kept"]
    found = {row["name"]: (row["days"], row["rows"], row["bytes"]) for row in shown}
    with acme.scope():
        (part,) = LogPart.objects.for_org(acme.org).filter(run_id=run_id)
        (output,) = Output.objects.for_org(acme.org).filter(run_id=run_id)
    assert found["logs"] == (90, part.lines, part.bytes)
    assert found["outputs"] == (None, 1, output.bytes)
    assert found["events"][0] == 90
    assert found["events"][2] > 0
    assert found["runs"] == (None, 1, None)
    assert found["audit"][0] == 365


def test_a_log_removed_while_it_is_read_is_not_an_error(world: World) -> None:
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
        assert not retention.is_log_removed(run)
        Run.objects.for_org(world.org).filter(pk=run.pk).update(log_removed=3)
        assert retention.is_log_removed(run)
