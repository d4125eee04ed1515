"""The timeline lists the runs of the last 24 hours by pipeline."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.orgs.models import Domain
from apps.orgs.roles import Role
from apps.runs.models import Run
from apps.runs.overview import timeline
from tests.runs.overview.test_freshness import end_run
from tests.world import World, make_pipeline

URL = "/api/v1/stats/timeline"


def read(world: World, **query: Any) -> dict[str, Any]:
    response = world.client(Role.VIEWER).get(URL, query)
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def names(answer: dict[str, Any]) -> list[str]:
    """Return the name of the pipeline of each run."""
    return [answer["pipelines"][run["pipeline"]]["name"] for run in answer["runs"]]


def test_live_runs_come_first_and_then_the_newest(world: World) -> None:
    first, second = make_pipeline(world, name="first"), make_pipeline(world, name="second")
    end_run(world, first, "succeeded", records_written=7)
    end_run(world, second, "failed")
    world.client().post(f"/api/v1/pipelines/{first.pk}/run", {})
    answer = read(world)
    assert names(answer) == ["first", "second", "first"]
    assert [run["status"] for run in answer["runs"]] == ["pending", "failed", "succeeded"]
    assert (answer["runs"][2]["records"], answer["has_more"]) == (7, False)
    assert [row["name"] for row in answer["pipelines"]] == ["first", "second"]


def test_runs_are_filtered_by_status_domain_and_time(world: World) -> None:
    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Own")
    inside = make_pipeline(world, name="inside", domain_id=domain.pk)
    outside = make_pipeline(world, name="outside")
    end_run(world, inside, "failed")
    end_run(world, outside, "succeeded")
    world.client().post(f"/api/v1/pipelines/{outside.pk}/run", {})
    assert names(read(world, status="failed")) == ["inside"]
    assert names(read(world, status="pending")) == ["outside"]
    assert names(read(world, status="running")) == []
    assert names(read(world, domain=str(domain.pk))) == ["inside"]
    later = (timezone.now() + timedelta(minutes=1)).isoformat()
    assert names(read(world, since=later, status="failed")) == []
    assert names(read(world, until="2000-01-01T00:00:00Z")) == []


def test_older_runs_are_left_out_even_if_they_are_asked_for(world: World) -> None:
    pipeline = make_pipeline(world)
    end_run(world, pipeline, "succeeded")
    with world.scope():
        Run.objects.for_org(world.org).update(finished_at=timezone.now() - timedelta(hours=25))
    assert read(world, since="2000-01-01T00:00:00Z")["runs"] == []


def test_too_many_runs_are_cut_to_all_runs_of_the_most_urgent_pipelines(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "MAX_RUNS", 3)
    failing, fresh = make_pipeline(world, name="z failing"), make_pipeline(world, name="a fresh")
    end_run(world, failing, "succeeded")
    end_run(world, failing, "failed")
    for _ in range(3):
        end_run(world, fresh, "succeeded")
    answer = read(world)
    assert (names(answer), answer["has_more"]) == (["z failing", "z failing"], True)
    assert names(read(world, q="A FR")) == ["a fresh"] * 3
    end_run(world, fresh, "succeeded")
    assert (names(read(world, q="a fr")), read(world, q="a fr")["has_more"]) == (
        ["a fresh"] * 3,
        True,
    )


def test_the_number_of_queries_does_not_depend_on_the_number_of_runs(
    world: World,
    django_assert_num_queries: Any,
    django_assert_max_num_queries: Any,
) -> None:
    client = world.client()
    end_run(world, make_pipeline(world), "succeeded")
    with django_assert_max_num_queries(14) as queries:
        client.get(URL)
    before = len(queries)
    for _ in range(6):
        end_run(world, make_pipeline(world), "succeeded")
    with django_assert_num_queries(before):
        assert len(client.get(URL).json()["runs"]) == 7


def test_other_orgs_see_nothing_of_it(world: World, stranger: World) -> None:
    end_run(world, make_pipeline(world), "succeeded")
    answer = read(stranger)
    assert (answer["runs"], answer["pipelines"]) == ([], [])


@pytest.mark.parametrize(
    "query", [{"status": "asleep"}, {"since": "now"}, {"domain": "7"}, {"x": "1"}]
)
def test_wrong_parameters_are_refused_by_name(world: World, query: dict[str, str]) -> None:
    response = world.client().get(URL, query)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == next(iter(query))
