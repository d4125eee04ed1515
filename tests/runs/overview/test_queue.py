"""The queue says what runs, and which runs wait, in which order and why."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.utils import timezone

from apps.orgs.roles import Role
from apps.runs.claiming import leases
from tests.runs.overview.test_overview import set_limits
from tests.world import World, make_pipeline

URL = "/api/v1/queue"


def start_runs(world: World, *names: str) -> None:
    for name in names:
        pipeline = make_pipeline(world, name=name)
        answer = world.client(Role.MEMBER).post(f"/api/v1/pipelines/{pipeline.pk}/run", {})
        assert answer.status_code == 201, answer.content


def queue_of(world: World, role: Role = Role.VIEWER) -> dict[str, Any]:
    answer = world.client(role).get(URL)
    assert answer.status_code == 200, answer.content
    queue: dict[str, Any] = answer.json()
    return queue


def names_of(runs: list[dict[str, Any]]) -> list[str]:
    return [run["pipeline"]["name"] for run in runs]


def test_a_viewer_sees_what_runs_and_what_waits(world: World) -> None:
    set_limits(world, max_running=1)
    start_runs(world, "Orders", "Flights", "Weather")
    assert leases.claim_next("worker-1") is not None

    queue = queue_of(world)

    assert (queue["running"], queue["waiting"], queue["max_running"]) == (1, 2, 1)
    assert queue["workers"] == 1
    assert names_of(queue["running_runs"]) == ["Orders"]
    assert names_of(queue["waiting_runs"]) == ["Flights", "Weather"]
    assert [run["place_in_line"] for run in queue["waiting_runs"]] == [1, 2]
    assert queue["waiting_runs"][0]["waiting_reason"] == "org limit 1/1"
    assert queue["waiting_since"] == queue["waiting_runs"][0]["created_at"]


def test_it_says_whether_a_worker_is_alive(world: World) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_workers")
    assert queue_of(world)["has_worker"] is False
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (%s)", [timezone.now()]
        )
    assert queue_of(world)["has_worker"] is True


def test_a_stranger_sees_an_empty_queue(world: World, stranger: World) -> None:
    start_runs(world, "Orders")
    queue = queue_of(stranger)
    assert (queue["waiting"], queue["waiting_runs"], queue["waiting_since"]) == (0, [], None)


def test_the_number_of_queries_does_not_depend_on_the_number_of_runs(
    world: World, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    start_runs(world, "First", "Second")
    assert leases.claim_next("worker-1") is not None
    with django_assert_max_num_queries(30) as queries:
        queue_of(world)
    before = len(queries)
    start_runs(world, *(f"Pipeline {number}" for number in range(5)))
    assert leases.claim_next("worker-1") is not None
    with django_assert_num_queries(before):
        queue_of(world)
