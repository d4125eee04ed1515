"""The effects of crashes are repaired, once, and nothing else is changed."""

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
from apps.runs.models import Attempt, Event, Run, Status
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start
from tests.world import World


@pytest.fixture
def claim(acme: World) -> Claim:
    """A run that a worker executes."""
    start(acme, make_pipeline(acme))
    taken = leases.claim_next("tests")
    assert taken is not None
    return taken


def change(acme: World, run_id: UUID, **fields: Any) -> None:
    with acme.scope():
        Run.objects.for_org(acme.org).filter(pk=run_id).update(**fields)


def expire(acme: World, claim: Claim) -> None:
    change(acme, claim.run_id, lease_until=Now() - timedelta(seconds=1))


def run_of(acme: World, claim: Claim) -> Run:
    with acme.scope():
        run: Run = Run.objects.for_org(acme.org).get(pk=claim.run_id)
    return run


def test_a_run_with_a_lease_is_left_alone(acme: World, claim: Claim) -> None:
    assert reconciler.recover_expired() == 0
    assert not reconciler.recover(org_id=claim.org_id, run_id=claim.run_id, lease=claim.lease)
    assert run_of(acme, claim).status == Status.RUNNING


def test_a_run_whose_lease_ran_out_waits_again_and_its_worker_is_shut_out(
    acme: World, claim: Claim
) -> None:
    expire(acme, claim)

    assert reconciler.recover_expired() == 1
    assert reconciler.recover_expired() == 0

    run = run_of(acme, claim)
    assert (run.status, run.crashes, run.lease) == (Status.PENDING, 1, None)
    with pytest.raises(LeaseLost), leases.held(claim):
        pass
    with pytest.raises(LeaseLost):
        leases.is_cancel_requested(claim)
    with acme.scope():
        attempt = Attempt.objects.for_org(acme.org).get(run_id=claim.run_id)
    assert (attempt.outcome, attempt.failure_class) == ("failed", "crashed")


def test_a_late_sign_of_life_keeps_the_run(acme: World, claim: Claim) -> None:
    expire(acme, claim)
    with leases.held(claim):
        pass  # renews

    assert reconciler.recover_expired() == 0


def test_the_third_dead_worker_is_the_last(acme: World, claim: Claim) -> None:
    change(acme, claim.run_id, crashes=2)
    expire(acme, claim)

    reconciler.recover_expired()

    run = run_of(acme, claim)
    assert (run.status, run.failure_class, run.crashes) == (Status.FAILED, "crashed", 3)
    assert run.finished_at is not None


def test_a_cancelled_run_of_a_dead_worker_ends_cancelled(acme: World, claim: Claim) -> None:
    with acme.scope():
        services.cancel(org=acme.org, by=SYSTEM, run_id=claim.run_id)
    assert reconciler.enforce_cancels() == 0  # its worker has a few seconds to do it properly
    change(acme, claim.run_id, cancel_requested_at=Now() - timedelta(seconds=30))

    assert reconciler.enforce_cancels() == 1

    assert run_of(acme, claim).status == Status.CANCELLED
    with pytest.raises(LeaseLost), leases.held(claim):
        pass


def test_jobs_of_dead_workers_are_removed_and_those_of_living_ones_are_not(acme: World) -> None:
    start(acme, make_pipeline(acme))
    start(acme, make_pipeline(acme))
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()), (now() - interval '1 hour')
               RETURNING id"""
        )
        (living,), (dead,) = cursor.fetchall()
        cursor.execute("SELECT id FROM procrastinate_jobs ORDER BY id")
        (first,), (second,) = cursor.fetchall()
        take = "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s"
        cursor.execute(take, [living, first])
        cursor.execute(take, [dead, second])

    assert jobs.remove_jobs_of_dead_workers(reconciler.WORKER_TIMEOUT) == 1

    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM procrastinate_jobs")
        assert cursor.fetchall() == [(first,)]


def test_expired_rows_are_swept(acme: World, claim: Claim) -> None:
    ended = start(acme, make_pipeline(acme))
    with acme.scope():
        services.cancel(org=acme.org, by=SYSTEM, run_id=ended)
        Event.objects.for_org(acme.org).update(at=timezone.now() - timedelta(days=3))
    expired = timezone.now() - timedelta(minutes=1)
    StreamTicket.objects.create(digest=uuid4().bytes * 2, claims={}, expires_at=expired)
    LoginAttempt.objects.create(key="someone")
    LoginAttempt.objects.update(at=timezone.now() - timedelta(days=3))

    sweeping.sweep()

    with acme.scope():
        events = Event.objects.for_org(acme.org)
        assert set(events.filter(run_id=ended).values_list("kind", flat=True)) == {"run"}
        assert events.filter(run_id=claim.run_id).exists()  # of a live run: still followed
    assert not StreamTicket.objects.exists()
    assert not LoginAttempt.objects.exists()


def test_two_reconcilers_at_once_do_everything_once(acme: World, claim: Claim) -> None:
    from tests.runs.claiming.test_turns import at_once

    expire(acme, claim)

    assert sum(at_once(reconciler.recover_expired, 4)) == 1
    assert run_of(acme, claim).crashes == 1
