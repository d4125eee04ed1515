"""The list of pipelines can be filtered, sorted and paged, with a constant number of queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.auth.models import new_id
from apps.orgs.models import Domain
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from tests.world import World, make_connector, make_pipeline

URL = "/api/v1/pipelines"


def create_pipelines(world: World, count: int) -> None:
    """Create pipelines in one statement, in groups of three with the same creation time."""
    now = timezone.now()
    with world.scope():
        rows = [
            Pipeline(
                org=world.org,
                name=f"P {n:04}" if n % 2 else f"p {n:04}",
                source_kind="dummy",
                destination_kind="logger",
                stream="generated",
                tags=["even"] if n % 2 == 0 else ["odd", "third"] if n % 3 == 0 else ["odd"],
            )
            for n in range(count)
        ]
        Pipeline.unscoped.bulk_create(rows)
        for n, row in enumerate(rows):
            row.created_at = now - timedelta(seconds=n // 3)
        Pipeline.unscoped.bulk_update(rows, ["created_at"])


def list_all_names(client: Any, **query: Any) -> list[str]:
    """Return the names of all pages. Also check that reading backwards returns the same pages."""
    names, pages, cursor = [], [], None
    while True:
        page = client.get(URL, {**query, **({"cursor": cursor} if cursor else {})}).json()
        pages.append(page)
        names += [row["name"] for row in page["results"]]
        cursor = page["next"]
        if cursor is None:
            break
    for earlier, later in zip(pages[-2::-1], pages[:0:-1], strict=True):
        previous_page = client.get(URL, {**query, "cursor": later["previous"]}).json()
        assert [row["id"] for row in previous_page["results"]] == [
            row["id"] for row in earlier["results"]
        ]
        assert previous_page["next"] is not None
    assert pages[0]["previous"] is None
    return names


@pytest.mark.parametrize(
    "order", ["newest", "oldest", "name", "updated", "next_run", "last_run", "duration"]
)
def test_paging_returns_every_pipeline_once_in_every_order(world: World, order: str) -> None:
    create_pipelines(world, 23)
    names = list_all_names(world.client(Role.VIEWER), limit=4, order=order)
    assert len(names) == len(set(names)) == 23
    if order == "name":
        assert names == sorted(names, key=str.lower)
    if order == "newest":
        oldest_first = list_all_names(world.client(Role.VIEWER), limit=5, order="oldest")
        assert names == oldest_first[::-1]


def test_pipelines_can_be_sorted_by_the_duration_of_their_last_run(world: World) -> None:
    durations = {"a": 0.1, "b": 12.25, "c": None, "d": 12.25, "e": 0.30000000000000004, "f": 1e6}
    for name, seconds in durations.items():
        pipeline = make_pipeline(world, name=name)
        with world.scope():
            Pipeline.objects.for_org(world.org).filter(pk=pipeline.pk).update(
                last_run_seconds=seconds
            )
    names = list_all_names(world.client(Role.VIEWER), limit=1, order="duration")
    assert "".join(names) in ("fbdeac", "fdbeac")


def test_a_long_list_needs_as_many_queries_as_a_list_of_one_pipeline(
    world: World, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    client = world.client(Role.VIEWER)
    make_pipeline(world, schedule="0 0 * * *")
    with django_assert_max_num_queries(12) as queries:
        client.get(URL)
    create_pipelines(world, 120)
    with django_assert_num_queries(len(queries)):
        answer = client.get(URL, {"limit": 100}).json()
    assert (len(answer["results"]), answer["count"]) == (100, 121)


def test_the_count_is_exact_even_for_an_empty_page(world: World, stranger: World) -> None:
    create_pipelines(world, 7)
    create_pipelines(stranger, 5)
    client = world.client()
    assert client.get(URL, {"limit": 1}).json()["count"] == 7
    empty = client.get(URL, {"q": "nothing like it"}).json()
    assert empty == {"results": [], "next": None, "previous": None, "count": 0}


def test_pipelines_can_be_filtered_by_each_parameter(world: World) -> None:
    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Marketing")
    connector = make_connector(world)
    config = {
        "source": {"connector_id": str(connector.pk)},
        "streams": [{"stream": "creatures"}],
        "destination": {"kind": "jsonl", "config": {}},
    }
    make_pipeline(world, name="A 100% case_", domain_id=domain.pk, tags=["x", "y"], config=config)
    make_pipeline(world, name="B", description="about a CASE", tags=["x"], enabled=False)
    with world.scope():
        Pipeline.objects.for_org(world.org).filter(name="B").update(
            last_run_id=new_id(), last_run_status="failed"
        )
    client = world.client(Role.VIEWER)

    def list_initials(**query: Any) -> list[str]:
        answer = client.get(URL, {"order": "name", **query}).json()
        assert answer["count"] == len(answer["results"])
        return [row["name"][0] for row in answer["results"]]

    assert list_initials() == ["A", "B"]
    assert list_initials(domain=str(domain.pk)) == ["A"]
    assert list_initials(tag="x") == ["A", "B"]
    assert list_initials(tag=" X , y") == ["A"]
    assert list_initials(enabled="false") == ["B"]
    assert list_initials(status="failed") == ["B"]
    assert list_initials(source="dummy") == ["A", "B"]
    assert list_initials(destination="jsonl") == ["A"]
    assert list_initials(connector=str(connector.pk)) == ["A"]
    assert list_initials(q="case") == ["A", "B"]
    assert list_initials(q="100%") == ["A"]
    assert list_initials(q="e_") == ["A"]
    assert list_initials(q="\\") == []
    assert list_initials(q="", tag="x", enabled="true") == ["A"]


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "nonsense"},
        # The decoded cursors have the values "x" and "0001-01-01" in place of a time.
        {"cursor": "WyJuZXdlc3QiLGZhbHNlLCJ4IiwiMDE5N2QyYTAtNWE0ZS03YzYwLTlhNDEtMGQ5YjZhOWYyZjIwIl0"},
        {"cursor": "WyJuZXdlc3QiLGZhbHNlLCIwMDAxLTAxLTAxIiwiMDE5N2QyYTAtNWE0ZS03YzYwLTlhNDEtMGQ5YjZhOWYyZjIwIl0"},
        {"order": "created_at; DROP TABLE"},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "9" * 26},
        {"status": "asleep"},
        {"domain": "x"},
        {"enabled": "maybe"},
        {"colour": "red"},
        {"q": "nul\0"},
        {"tag": "nul\0"},
    ],
)  # fmt: skip
def test_an_invalid_query_is_rejected_with_the_name_of_the_parameter(
    world: World, query: Any
) -> None:
    answer = world.client().get(URL, query)
    assert answer.status_code in (400, 422), answer.content
    assert answer.json()["errors"][0]["field"] in query


def test_a_listed_pipeline_contains_its_schedule_last_run_and_domain(world: World) -> None:
    pipeline = make_pipeline(
        world,
        schedule={"interval_seconds": 900, "timezone": "Asia/Tokyo", "jitter_seconds": 5},
    )
    run_id = new_id()
    with world.scope():
        Pipeline.objects.for_org(world.org).filter(pk=pipeline.pk).update(
            last_run_id=run_id,
            last_run_status="succeeded",
            last_run_records=2**40,
            last_run_seconds=0.1,
        )
    (row,) = world.client().get(URL).json()["results"]
    assert row["last_run"] == {
        "id": str(run_id),
        "status": "succeeded",
        "kind": "ordinary",
        "finished_at": None,
        "records": 2**40,
        "duration_seconds": 0.1,
    }
    assert row["schedule"]["interval_seconds"] == 900
    assert row["schedule"]["cron"] is None
    assert row["next_run_at"].endswith("Z")
    assert row["domain"] is None
