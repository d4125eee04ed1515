"""The order of runs: one claim per run, limits that hold, and no org that waits for another's many runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from pytest_django import Settings

from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.runs import execute, services, snapshots, states
from apps.runs.claiming import admission, leases, queue, reconciler
from apps.runs.claiming.leases import Claim
from apps.runs.execute import Worker
from apps.runs.models import Attempt, Run, Status
from tests import database
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start
from tests.world import World, make_world

THREADS = 8


def at_once(action: Callable[[], Any], count: int = THREADS) -> list[Any]:
    """Call `action` from so many threads at the same moment."""
    barrier = threading.Barrier(count)

    def one() -> Any:
        barrier.wait()
        try:
            return action()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(one) for _ in range(count)]]


def flood(world: World, count: int) -> list[UUID]:
    return [start(world, make_pipeline(world)) for _ in range(count)]


def limit(world: World, most: int) -> None:
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(max_running=most)


def finish(claim: Claim) -> None:
    with leases.held(claim):
        states.move(
            org_id=claim.org_id,
            run_id=claim.run_id,
            before=Status.RUNNING,
            after=Status.SUCCEEDED,
            lease=claim.lease,
        )


def claim() -> Claim:
    taken = leases.claim_next("tests")
    assert taken is not None
    return taken


def test_of_eight_workers_that_reach_for_one_run_one_gets_it(acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))

    claims = at_once(lambda: leases.claim_next("tests"))

    (winner,) = [taken for taken in claims if taken is not None]
    assert (winner.run_id, winner.attempt) == (run_id, 1)


def test_of_eight_that_take_the_same_run_by_name_one_gets_it(acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))

    def take() -> Claim | None:
        with acme.scope():
            return leases.take(org_id=acme.org.pk, run_id=run_id, worker="tests")

    assert sum(taken is not None for taken in at_once(take)) == 1


def test_the_limit_of_an_org_holds_for_concurrent_claims(acme: World) -> None:
    limit(acme, 3)
    flood(acme, 6)

    assert sum(taken is not None for taken in at_once(lambda: leases.claim_next("tests"))) == 3
    assert admission.count_startable() == 0


def test_no_org_gets_more_runs_in_a_worker_than_its_memory_is_enough_for(
    acme: World, settings: Settings
) -> None:
    settings.WORKER_ORG_RUNS = 2
    other = make_world()
    flood(acme, 5)

    assert sum(taken is not None for taken in at_once(lambda: leases.claim_next("tests"))) == 2
    flood(other, 1)
    taken = leases.claim_next("tests")
    assert taken is not None
    assert taken.org_id == other.org.pk
    assert leases.claim_next("tests") is None
    assert sum(leases.claim_next("another") is not None for _ in range(4)) == 2


def test_the_limit_of_the_platform_holds_over_all_orgs(acme: World, settings: Settings) -> None:
    settings.MAX_RUNNING_PLATFORM = 2
    other = make_world()
    flood(acme, 2)
    waiting = flood(other, 2)

    taken = [leases.claim_next("tests") for _ in range(4)]

    assert sum(one is not None for one in taken) == 2
    with other.scope():
        shown = snapshots.run(org_id=other.org.pk, run_id=waiting[1])
    assert (shown["waiting_reason"], shown["place_in_line"]) == ("platform limit 2/2", 1)


def test_a_waiting_run_shows_its_reason_and_position(acme: World) -> None:
    limit(acme, 2)
    runs = flood(acme, 5)
    claim()
    claim()

    listed = acme.client("viewer").get("/api/v1/runs?status=pending&order=created_at").json()

    assert [row["id"] for row in listed["results"]] == [str(run) for run in runs[2:]]
    assert {row["waiting_reason"] for row in listed["results"]} == {"org limit 2/2"}
    assert [row["place_in_line"] for row in listed["results"]] == [1, 2, 3]


def test_a_flood_of_one_org_does_not_delay_the_one_run_of_another(acme: World) -> None:
    """With a single slot on the platform: the other org's run is next, though it was created last."""
    flood(acme, 30)
    finish(claim())
    small = make_world()
    its_run = start(small, make_pipeline(small))

    assert claim().run_id == its_run


def test_runs_are_claimed_round_robin_between_orgs(acme: World) -> None:
    worlds = [acme, make_world(), make_world()]
    for world in worlds:
        flood(world, 4)

    served = []
    for _ in range(12):
        taken = claim()
        served.append(taken.org_id)
        finish(taken)

    rounds = [set(served[at : at + 3]) for at in range(0, 12, 3)]
    assert rounds == [{world.org.pk for world in worlds}] * 4


def test_within_an_org_the_first_to_come_is_the_first_served(acme: World) -> None:
    runs = flood(acme, 3)

    assert [claim().run_id for _ in range(3)] == runs


def test_a_freed_slot_wakes_a_worker_if_a_run_is_waiting(acme: World) -> None:
    from apps.runs.execute import wake_worker_for_waiting_run

    limit(acme, 1)
    flood(acme, 2)
    taken = claim()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    wake_worker_for_waiting_run()
    assert queue.count_waiting_jobs() == 0  # no run could start yet

    finish(taken)
    wake_worker_for_waiting_run()

    assert queue.count_waiting_jobs() == 1


def test_a_place_in_a_line_of_thousands_costs_as_many_queries_as_in_a_short_one(
    acme: World, django_assert_num_queries: Any
) -> None:
    first = flood(acme, 2)
    with acme.scope():
        rows = list(Run.objects.for_org(acme.org).values(*snapshots.COLUMNS))
        with django_assert_num_queries(4):
            snapshots.render_runs(acme.org.pk, rows)
        template = Run.objects.for_org(acme.org).get(pk=first[0])
    pipelines = [make_pipeline(acme) for _ in range(20)]
    with acme.scope():
        Run.unscoped.bulk_create(
            Run(org=acme.org, pipeline=pipeline, version=1, trigger=template.trigger)
            for pipeline in pipelines
        )
        rows = list(Run.objects.for_org(acme.org).values(*snapshots.COLUMNS))
        with django_assert_num_queries(4):
            shown = snapshots.render_runs(acme.org.pk, rows)
    assert {row["place_in_line"] for row in shown} == set(range(1, 23))
    assert len(shown) == 22


def test_parallel_requests_with_one_idempotency_key_start_one_run(acme: World) -> None:
    pipeline = make_pipeline(acme)
    clients = [acme.client() for _ in range(THREADS)]

    def post() -> Any:
        return clients.pop().post(
            f"/api/v1/pipelines/{pipeline.pk}/run", {}, headers={"Idempotency-Key": "once"}
        )

    answers = at_once(post)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_parallel_requests_without_a_key_start_one_run_and_the_others_learn_which(
    acme: World,
) -> None:
    pipeline = make_pipeline(acme)
    clients = [acme.client() for _ in range(THREADS)]

    answers = at_once(lambda: clients.pop().post(f"/api/v1/pipelines/{pipeline.pk}/run", {}))

    (made,) = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer is not made]
    assert {answer.status_code for answer in refused} == {409}
    assert {answer.json()["run_id"] for answer in refused} == {made.json()["id"]}


def test_a_lost_ticket_is_made_again(acme: World) -> None:
    flood(acme, 3)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")

    assert reconciler.defer_missing_jobs() == 3
    assert reconciler.defer_missing_jobs() == 0
    assert queue.count_waiting_jobs() == 3


def test_cancelling_what_waits_frees_the_pipeline(acme: World) -> None:
    pipeline = make_pipeline(acme)
    run_id = start(acme, pipeline)
    with acme.scope():
        services.cancel(org=acme.org, by=SYSTEM, run_id=run_id)

    assert leases.claim_next("tests") is None
    assert start(acme, pipeline) != run_id


def test_a_claim_whose_commit_was_not_confirmed_is_the_same_claim(
    acme: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server committed, but the response was lost: no run is claimed twice, and none waits for a lease to
    expire.
    """
    run_id = start(acme, make_pipeline(acme))
    commit = psycopg.Connection.commit
    lost: list[int] = []

    def commit_and_hear_nothing(session: psycopg.Connection) -> None:
        commit(session)
        if session.info.user == "app_user" and not lost and _is_running(run_id):
            lost.append(session.info.backend_pid)
            session.close()
            raise psycopg.OperationalError("the connection broke during the commit")

    monkeypatch.setattr(psycopg.Connection, "commit", commit_and_hear_nothing)
    taken = claim()

    assert lost
    assert (taken.run_id, taken.attempt) == (run_id, 1)
    with leases.held(taken):
        assert Attempt.objects.for_org(acme.org).filter(run_id=run_id).count() == 1


def _is_running(run_id: UUID) -> bool:
    with psycopg.connect(database.url_of(database.worker_database())) as admin:
        row = admin.execute("SELECT status FROM runs_run WHERE id = %s", [run_id]).fetchone()
    return row is not None and row[0] == "running"


def test_a_run_whose_worker_lost_the_database_after_the_claim_continues_at_once(
    acme: World, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start(acme, make_pipeline(acme))
    spec = execute._run_spec
    broken: list[Claim] = []

    def spec_on_a_broken_connection(taken: Claim) -> Any:
        if not broken:
            broken.append(taken)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return spec(taken)

    monkeypatch.setattr(execute, "_run_spec", spec_on_a_broken_connection)
    assert execute.work_once(this_worker)

    assert broken
    shown = snapshots_of(acme, run_id)
    assert (shown["status"], shown["attempt"]) == ("succeeded", 1)


def snapshots_of(world: World, run_id: UUID) -> snapshots.RunWithAttempts:
    with world.scope():
        return snapshots.run(org_id=world.org.pk, run_id=run_id)
