"""The counts beside the filters of the list of pipelines."""

from __future__ import annotations

from typing import Any

from apps.orgs.models import Domain
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from tests.world import World, make_pipeline

URL = "/api/v1/pipelines/facets"


def counts(answer: Any, facet: str) -> dict[str, int]:
    return {row["label"]: row["count"] for row in answer.json()[facet]}


def create_three(world: World) -> Domain:
    with world.scope():
        domain: Domain = Domain.unscoped.create(org=world.org, name="Marketing")
    make_pipeline(world, name="A", tags=["daily", "money"], domain_id=domain.pk)
    make_pipeline(world, name="B", tags=["daily"], enabled=False)
    make_pipeline(world, name="C")
    with world.scope():
        rows = Pipeline.objects.for_org(world.org).filter(name__in=["A", "B"])
        rows.update(last_run_status="failed")
    return domain


def test_each_filter_has_its_values_with_the_number_of_pipelines(world: World) -> None:
    create_three(world)
    answer = world.client(Role.VIEWER).get(URL)
    assert counts(answer, "domain") == {"Marketing": 1}
    assert counts(answer, "tag") == {"daily": 2, "money": 1}
    assert counts(answer, "source") == {"Dummy": 3}
    assert counts(answer, "destination") == {"Log only": 3}
    assert counts(answer, "status") == {"failed": 2}
    assert counts(answer, "freshness") == {"none": 3}
    assert counts(answer, "enabled") == {"true": 2, "false": 1}


def test_the_counts_of_a_filter_ignore_the_filter_itself_and_respect_the_others(
    world: World,
) -> None:
    domain = create_three(world)
    answer = world.client(Role.VIEWER).get(URL, {"domain": str(domain.pk), "status": "failed"})
    assert counts(answer, "domain") == {"Marketing": 1}
    assert counts(answer, "status") == {"failed": 1}
    assert counts(answer, "tag") == {"daily": 1, "money": 1}
    searched = world.client(Role.VIEWER).get(URL, {"q": "b"})
    assert counts(searched, "tag") == {"daily": 1}


def test_the_pipelines_of_another_org_are_not_counted(world: World, stranger: World) -> None:
    create_three(world)
    answer = stranger.client(Role.OWNER).get(URL)
    assert all(rows == [] for rows in answer.json().values())


def test_the_number_of_queries_does_not_depend_on_the_number_of_pipelines(
    world: World, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    client = world.client(Role.VIEWER)
    make_pipeline(world)
    with django_assert_max_num_queries(12) as queries:
        client.get(URL)
    create_three(world)
    with django_assert_num_queries(len(queries)):
        client.get(URL)
