"""Each run is claimed once, limits are respected, and an org with many runs does not delay other orgs."""

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
from apps.runs.attempts import preparation
from apps.runs.claiming import admission, leases, queue, reconciler
from apps.runs.claiming.leases import Claim
from apps.runs.execute import Worker
from apps.runs.models import Attempt, Run, Status
from tests import database
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start_run
from tests.world import World, make_world

THREADS = 8


def call_at_once(action: Callable[[], Any], count: int = THREADS) -> list[Any]:
    """Call the action in this number of threads at the same time. Return the results."""
    barrier = threading.Barrier(count)

    def wait_and_call() -> Any:
        barrier.wait()
        try:
            return action()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(wait_and_call) for _ in range(count)]]


def start_runs(world: World, count: int) -> list[UUID]:
    return [start_run(world, make_pipeline(world)) for _ in range(count)]


def set_run_limit(world: World, max_running: int) -> None:
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(max_running=max_running)


def finish_run(claim: Claim) -> None:
    with leases.held(claim):
        states.move(
            org_id=claim.org_id,
            run_id=claim.run_id,
            before=Status.RUNNING,
            after=Status.SUCCEEDED,
            lease=claim.lease,
        )


def claim_run() -> Claim:
    claim = leases.claim_next("tests")
    assert claim is not None
    return claim


def test_one_of_eight_concurrent_workers_claims_a_run(acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))

    claims = call_at_once(lambda: leases.claim_next("tests"))

    (winner,) = [claim for claim in claims if claim is not None]
    assert (winner.run_id, winner.attempt) == (run_id, 1)


def test_one_of_eight_concurrent_threads_claims_a_run_by_id(acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))

    def claim_by_id() -> Claim | None:
        with acme.scope():
            return leases.claim_run(org_id=acme.org.pk, run_id=run_id, worker="tests")

    assert sum(claim is not None for claim in call_at_once(claim_by_id)) == 1


def test_concurrent_claims_respect_the_limit_of_an_org(acme: World) -> None:
    set_run_limit(acme, 3)
    start_runs(acme, 6)

    assert sum(claim is not None for claim in call_at_once(lambda: leases.claim_next("tests"))) == 3
    assert admission.count_startable() == 0


def test_an_org_gets_at_most_the_maximum_of_runs_in_one_worker(
    acme: World, settings: Settings
) -> None:
    settings.WORKER_ORG_RUNS = 2
    other_world = make_world()
    start_runs(acme, 5)

    assert sum(claim is not None for claim in call_at_once(lambda: leases.claim_next("tests"))) == 2
    start_runs(other_world, 1)
    claim = leases.claim_next("tests")
    assert claim is not None
    assert claim.org_id == other_world.org.pk
    assert leases.claim_next("tests") is None
    assert sum(leases.claim_next("another") is not None for _ in range(4)) == 2


def test_the_limit_of_the_platform_applies_to_all_orgs_together(
    acme: World, settings: Settings
) -> None:
    settings.MAX_RUNNING_PLATFORM = 2
    other_world = make_world()
    start_runs(acme, 2)
    waiting_runs = start_runs(other_world, 2)

    claims = [leases.claim_next("tests") for _ in range(4)]

    assert sum(claim is not None for claim in claims) == 2
    with other_world.scope():
        run = snapshots.run(org_id=other_world.org.pk, run_id=waiting_runs[1])
    assert (run["waiting_reason"], run["place_in_line"]) == ("platform limit 2/2", 1)


def test_a_waiting_run_shows_its_reason_and_position(acme: World) -> None:
    set_run_limit(acme, 2)
    runs = start_runs(acme, 5)
    claim_run()
    claim_run()

    listed = acme.client("viewer").get("/api/v1/runs?status=pending&order=created_at").json()

    assert [row["id"] for row in listed["results"]] == [str(run) for run in runs[2:]]
    assert {row["waiting_reason"] for row in listed["results"]} == {"org limit 2/2"}
    assert [row["place_in_line"] for row in listed["results"]] == [1, 2, 3]


def test_many_runs_of_one_org_do_not_delay_a_run_of_another_org(acme: World) -> None:
    """The run of the other org is claimed next, although it was created last."""
    start_runs(acme, 30)
    finish_run(claim_run())
    other_world = make_world()
    run_of_other = start_run(other_world, make_pipeline(other_world))

    assert claim_run().run_id == run_of_other


def test_runs_are_claimed_round_robin_between_orgs(acme: World) -> None:
    worlds = [acme, make_world(), make_world()]
    for world in worlds:
        start_runs(world, 4)

    claimed_org_ids = []
    for _ in range(12):
        claim = claim_run()
        claimed_org_ids.append(claim.org_id)
        finish_run(claim)

    rounds = [set(claimed_org_ids[i : i + 3]) for i in range(0, 12, 3)]
    assert rounds == [{world.org.pk for world in worlds}] * 4


def test_runs_of_an_org_are_claimed_in_the_order_of_their_creation(acme: World) -> None:
    runs = start_runs(acme, 3)

    assert [claim_run().run_id for _ in range(3)] == runs


def test_a_job_is_queued_for_a_waiting_run_once_it_can_start(acme: World) -> None:
    from apps.runs.execute import wake_worker_for_waiting_run

    set_run_limit(acme, 1)
    start_runs(acme, 2)
    claim = claim_run()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    wake_worker_for_waiting_run()
    assert queue.count_waiting_jobs() == 0  # no run could start yet

    finish_run(claim)
    wake_worker_for_waiting_run()

    assert queue.count_waiting_jobs() == 1


def test_the_position_in_a_long_queue_takes_as_many_queries_as_in_a_short_queue(
    acme: World, django_assert_num_queries: Any
) -> None:
    run_ids = start_runs(acme, 2)
    with acme.scope():
        rows = list(Run.objects.for_org(acme.org).values(*snapshots.COLUMNS))
        with django_assert_num_queries(4):
            snapshots.render_runs(acme.org.pk, rows)
        template = Run.objects.for_org(acme.org).get(pk=run_ids[0])
    pipelines = [make_pipeline(acme) for _ in range(20)]
    with acme.scope():
        Run.unscoped.bulk_create(
            Run(org=acme.org, pipeline=pipeline, version=1, trigger=template.trigger)
            for pipeline in pipelines
        )
        rows = list(Run.objects.for_org(acme.org).values(*snapshots.COLUMNS))
        with django_assert_num_queries(4):
            runs = snapshots.render_runs(acme.org.pk, rows)
    assert {row["place_in_line"] for row in runs} == set(range(1, 23))
    assert len(runs) == 22


def test_parallel_requests_with_one_idempotency_key_start_one_run(acme: World) -> None:
    pipeline = make_pipeline(acme)
    clients = [acme.client() for _ in range(THREADS)]

    def send_request() -> Any:
        return clients.pop().post(
            f"/api/v1/pipelines/{pipeline.pk}/run", {}, headers={"Idempotency-Key": "once"}
        )

    answers = call_at_once(send_request)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_parallel_requests_without_a_key_start_one_run_and_the_other_responses_contain_its_id(
    acme: World,
) -> None:
    pipeline = make_pipeline(acme)
    clients = [acme.client() for _ in range(THREADS)]

    answers = call_at_once(lambda: clients.pop().post(f"/api/v1/pipelines/{pipeline.pk}/run", {}))

    (created,) = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer is not created]
    assert {answer.status_code for answer in refused} == {409}
    assert {answer.json()["run_id"] for answer in refused} == {created.json()["id"]}


def test_missing_jobs_of_pending_runs_are_queued_again(acme: World) -> None:
    start_runs(acme, 3)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")

    assert reconciler.defer_missing_jobs() == 3
    assert reconciler.defer_missing_jobs() == 0
    assert queue.count_waiting_jobs() == 3


def test_after_cancelling_a_pending_run_the_pipeline_can_run_again(acme: World) -> None:
    pipeline = make_pipeline(acme)
    run_id = start_run(acme, pipeline)
    with acme.scope():
        services.cancel(org=acme.org, by=SYSTEM, run_id=run_id)

    assert leases.claim_next("tests") is None
    assert start_run(acme, pipeline) != run_id


def test_a_claim_whose_commit_was_not_confirmed_is_found_again(
    acme: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server committed, but its response was lost. The run is not claimed twice and need not wait for its lease."""
    run_id = start_run(acme, make_pipeline(acme))
    commit = psycopg.Connection.commit
    lost_sessions: list[int] = []

    def commit_and_lose_connection(session: psycopg.Connection) -> None:
        commit(session)
        if session.info.user == "app_user" and not lost_sessions and _is_running(run_id):
            lost_sessions.append(session.info.backend_pid)
            session.close()
            raise psycopg.OperationalError("the connection broke during the commit")

    monkeypatch.setattr(psycopg.Connection, "commit", commit_and_lose_connection)
    claim = claim_run()

    assert lost_sessions
    assert (claim.run_id, claim.attempt) == (run_id, 1)
    with leases.held(claim):
        assert Attempt.objects.for_org(acme.org).filter(run_id=run_id).count() == 1


def _is_running(run_id: UUID) -> bool:
    with psycopg.connect(database.url_of(database.process_database_name())) as admin:
        row = admin.execute("SELECT status FROM runs_run WHERE id = %s", [run_id]).fetchone()
    return row is not None and row[0] == "running"


def test_a_run_continues_if_the_database_connection_breaks_after_the_claim(
    acme: World, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    prepare = preparation.prepare
    broken_claims: list[Claim] = []

    def break_connection_and_prepare(claim: Claim) -> Any:
        if not broken_claims:
            broken_claims.append(claim)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return prepare(claim)

    monkeypatch.setattr(execute, "prepare", break_connection_and_prepare)
    assert execute.work_once(this_worker)

    assert broken_claims
    run = read_snapshot(acme, run_id)
    assert (run["status"], run["attempt"]) == ("succeeded", 1)


def read_snapshot(world: World, run_id: UUID) -> snapshots.RunWithAttempts:
    with world.scope():
        return snapshots.run(org_id=world.org.pk, run_id=run_id)
