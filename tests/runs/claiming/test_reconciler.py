"""The reconciler repairs the effects of a crash once, and changes nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from apps.auth.models import LoginAttempt, StreamTicket
from apps.background import jobs, sweeping
from apps.orgs.principals import SYSTEM
from apps.runs import services
from apps.runs.claiming import leases, reconciler
from apps.runs.claiming.leases import Claim
from apps.runs.exceptions import LeaseLost
from apps.runs.models import Attempt, Event, Run, RunStream, Status
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start_run
from tests.world import World


@pytest.fixture
def claim(acme: World) -> Claim:
    """The claim of a run that a worker executes."""
    start_run(acme, make_pipeline(acme))
    new_claim = leases.claim_next("tests")
    assert new_claim is not None
    return new_claim


def update_run(acme: World, run_id: UUID, **fields: Any) -> None:
    with acme.scope():
        Run.objects.for_org(acme.org).filter(pk=run_id).update(**fields)


def expire_lease(acme: World, claim: Claim) -> None:
    update_run(acme, claim.run_id, lease_until=Now() - timedelta(seconds=1))


def load_claimed_run(acme: World, claim: Claim) -> Run:
    with acme.scope():
        run: Run = Run.objects.for_org(acme.org).get(pk=claim.run_id)
    return run


def test_a_run_with_a_valid_lease_is_not_changed(acme: World, claim: Claim) -> None:
    assert reconciler.recover_expired_runs() == 0
    assert not reconciler.recover(org_id=claim.org_id, run_id=claim.run_id, lease=claim.lease)
    assert load_claimed_run(acme, claim).status == Status.RUNNING


def test_a_run_with_an_expired_lease_is_pending_again_and_its_worker_loses_the_lease(
    acme: World, claim: Claim
) -> None:
    expire_lease(acme, claim)

    assert reconciler.recover_expired_runs() == 1
    assert reconciler.recover_expired_runs() == 0

    run = load_claimed_run(acme, claim)
    assert (run.status, run.crashes, run.lease) == (Status.PENDING, 1, None)
    with pytest.raises(LeaseLost), leases.held(claim):
        pass
    with pytest.raises(LeaseLost):
        leases.is_cancel_requested(claim)
    with acme.scope():
        attempt = Attempt.objects.for_org(acme.org).get(run_id=claim.run_id)
    assert (attempt.outcome, attempt.failure_class) == ("failed", "crashed")


def test_a_worker_that_renews_an_expired_lease_in_time_keeps_the_run(
    acme: World, claim: Claim
) -> None:
    expire_lease(acme, claim)
    with leases.held(claim):
        pass  # this renews the lease

    assert reconciler.recover_expired_runs() == 0


def test_a_run_fails_after_the_third_crash_of_a_worker(acme: World, claim: Claim) -> None:
    update_run(acme, claim.run_id, crashes=2)
    expire_lease(acme, claim)

    reconciler.recover_expired_runs()

    run = load_claimed_run(acme, claim)
    assert (run.status, run.failure_class, run.crashes) == (Status.FAILED, "crashed", 3)
    assert run.finished_at is not None


def test_a_run_of_a_dead_worker_is_cancelled_if_its_cancellation_was_requested(
    acme: World, claim: Claim
) -> None:
    with acme.scope():
        services.cancel(org=acme.org, by=SYSTEM, run_id=claim.run_id)
    # The worker has a few seconds to cancel the run.
    assert reconciler.enforce_overdue_cancels() == 0
    update_run(
        acme, claim.run_id, cancel_requested_at=Now() - timedelta(seconds=30), streams_failed=1
    )
    with acme.scope():
        streams = RunStream.objects.for_org(acme.org).filter(run_id=claim.run_id)
        row = RunStream(org=acme.org, run_id=claim.run_id, position=0, name="a", table="a")
        row.status = Status.FAILED
        streams.bulk_create([row])

    assert reconciler.enforce_overdue_cancels() == 1

    run = load_claimed_run(acme, claim)
    assert (run.status, run.streams_failed) == (Status.CANCELLED, 0)
    with acme.scope():
        assert [stream.status for stream in streams.all()] == [Status.CANCELLED]
    with pytest.raises(LeaseLost), leases.held(claim):
        pass


def test_only_jobs_of_dead_workers_are_removed(acme: World) -> None:
    start_run(acme, make_pipeline(acme))
    start_run(acme, make_pipeline(acme))
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()), (now() - interval '1 hour')
               RETURNING id"""
        )
        (living_worker,), (dead_worker,) = cursor.fetchall()
        cursor.execute("SELECT id FROM procrastinate_jobs ORDER BY id")
        (first_job,), (second_job,) = cursor.fetchall()
        assign_job = "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s"
        cursor.execute(assign_job, [living_worker, first_job])
        cursor.execute(assign_job, [dead_worker, second_job])

    assert jobs.remove_jobs_of_dead_workers(reconciler.WORKER_TIMEOUT) == 1

    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM procrastinate_jobs")
        assert cursor.fetchall() == [(first_job,)]


def test_expired_rows_are_deleted(acme: World, claim: Claim) -> None:
    ended_run = start_run(acme, make_pipeline(acme))
    with acme.scope():
        services.cancel(org=acme.org, by=SYSTEM, run_id=ended_run)
        Event.objects.for_org(acme.org).update(at=timezone.now() - timedelta(days=3))
    expired_at = timezone.now() - timedelta(minutes=1)
    StreamTicket.objects.create(digest=uuid4().bytes * 2, claims={}, expires_at=expired_at)
    LoginAttempt.objects.create(key="someone")
    LoginAttempt.objects.update(at=timezone.now() - timedelta(days=3))

    sweeping.sweep()

    with acme.scope():
        events = Event.objects.for_org(acme.org)
        assert set(events.filter(run_id=ended_run).values_list("kind", flat=True)) == {"run"}
        assert events.filter(run_id=claim.run_id).exists()  # clients may still follow a live run
    assert not StreamTicket.objects.exists()
    assert not LoginAttempt.objects.exists()


def test_concurrent_reconcilers_recover_a_run_once(acme: World, claim: Claim) -> None:
    from tests.runs.claiming.test_turns import call_at_once

    expire_lease(acme, claim)

    assert sum(call_at_once(reconciler.recover_expired_runs, 4)) == 1
    assert load_claimed_run(acme, claim).crashes == 1
