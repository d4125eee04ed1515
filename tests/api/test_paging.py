"""Keyset pages return every remaining row exactly once, even if other rows are added and removed meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from apps.orgs.models import Domain
from apps.orgs.roles import Role
from apps.web.paging import Cursor
from tests.world import World

PATH = "/api/v1/org/domains"
START = datetime(2026, 1, 1, tzinfo=UTC)


def add_domains(world: World, names: list[str]) -> list[str]:
    """Create domains, three for each second, so that pages must also sort rows with equal times."""
    with world.scope():
        rows = Domain.unscoped.bulk_create(
            [Domain(org=world.org, name=name) for name in names], batch_size=200
        )
        for number, row in enumerate(rows):
            row.created_at = START + timedelta(seconds=number // 3)
        Domain.unscoped.bulk_update(rows, ["created_at"])
    return [str(row.pk) for row in rows]


def remove_domains(world: World, ids: list[str]) -> None:
    with world.scope():
        Domain.objects.for_org(world.org).filter(pk__in=ids).delete()


def get_page(client: APIClient, **query: Any) -> dict[str, Any]:
    answer = client.get(PATH, query)
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    stable_count=st.integers(0, 15),
    limit=st.integers(1, 9),
    order=st.sampled_from(["name", "newest"]),
    changes=st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=8),
)
def test_reading_all_pages_forwards_and_back_returns_every_stable_row_once(
    world: World, stable_count: int, limit: int, order: str, changes: list[tuple[bool, int]]
) -> None:
    with transaction.atomic():
        client = world.client(Role.VIEWER)
        stable_ids = set(add_domains(world, [f"d{number:03}" for number in range(stable_count)]))
        removable_ids = add_domains(world, [f"d{number:03}x" for number in range(6)])
        remaining_changes, suffixes = iter(changes), count()

        def change_rows() -> None:
            is_addition, position = next(remaining_changes, (False, 0))
            if is_addition:
                removable_ids.extend(add_domains(world, [f"d{position:03}-{next(suffixes)}"]))
            elif removable_ids:
                remove_domains(world, [removable_ids.pop(position % len(removable_ids))])

        forward = read_all_pages(client, "next", {"order": order, "limit": limit}, change_rows)
        assert [row for row in forward.ids if row in stable_ids] == sorted_ids(
            world, order, stable_ids
        )
        backward = read_all_pages(
            client, "previous", {"limit": limit, "cursor": forward.last_cursor}, change_rows
        )
        read_ids = forward.last_page + backward.ids
        assert sorted(row for row in read_ids if row in stable_ids) == sorted(stable_ids)
        transaction.set_rollback(True)


class ReadResult:
    """The ids of all rows, the ids on the last page, and the cursor from the last page to the previous page."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.last_page: list[str] = []
        self.last_cursor: str | None = None


def read_all_pages(
    client: APIClient, direction: str, query: dict[str, Any], change_rows: Any
) -> ReadResult:
    """Read all pages in one direction. If the query has a `cursor` of None, there are no pages."""
    result = ReadResult()
    if "cursor" in query and query["cursor"] is None:
        return result
    while True:
        body = get_page(client, **query)
        result.last_page = [row["id"] for row in body["results"]]
        result.ids += result.last_page
        result.last_cursor = body["previous"]
        if body[direction] is None:
            return result
        query = {"limit": query["limit"], "cursor": body[direction]}
        change_rows()


def sorted_ids(world: World, order: str, stable_ids: set[str]) -> list[str]:
    columns = ("name", "id") if order == "name" else ("-created_at", "-id")
    with world.scope():
        rows = Domain.objects.for_org(world.org).order_by(*columns).values_list("id", flat=True)
        return [str(row) for row in rows if str(row) in stable_ids]


def test_a_page_has_the_total_count_and_links_in_both_directions(world: World) -> None:
    add_domains(world, [f"d{number}" for number in range(5)])
    client = world.client(Role.VIEWER)
    first = get_page(client, limit=2, order="name")
    assert (first["count"], first["previous"]) == (5, None)
    second = get_page(client, limit=2, cursor=first["next"])
    third = get_page(client, limit=2, cursor=second["next"])
    assert [row["name"] for row in third["results"]] == ["d4"]
    assert third["next"] is None
    second_again = get_page(client, limit=2, cursor=third["previous"])
    assert second_again["results"] == second["results"]
    first_again = get_page(client, limit=2, cursor=second_again["previous"])
    assert (first_again["results"], first_again["previous"]) == (first["results"], None)


LIST_PATHS = (
    "/api/v1/org/domains",
    "/api/v1/org/members",
    "/api/v1/org/api-keys",
    "/api/v1/org/audit",
    "/api/v1/org/invitations",
    "/api/v1/org/service-accounts",
    "/api/v1/org/scim/groups",
    "/api/v1/scim/v2/Users",
    "/api/v1/scim/v2/Groups",
    "/api/v1/connectors",
    "/api/v1/pipelines",
    "/api/v1/runs",
)


def measure_list(client: APIClient, path: str) -> tuple[int, int]:
    """Request a list's first page with the largest limit, and return the numbers of queries and rows."""
    query = {"count": 200} if "/scim/v2/" in path else {} if "groups" in path else {"limit": 200}
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path, query)
        assert answer.status_code == 200, answer.content
    rows = next(rows for rows in answer.json().values() if isinstance(rows, list) and rows)
    return len(captured), len(answer.json().get("Resources", rows))


def test_no_list_needs_more_queries_for_more_rows(db: None) -> None:
    from tests.isolation.planted import add_rows, plant

    planted = plant()
    client = planted.world.client(Role.OWNER)
    before = {path: measure_list(client, path) for path in LIST_PATHS}
    add_rows(planted, 20)
    after = {path: measure_list(client, path) for path in LIST_PATHS}
    assert [path for path in LIST_PATHS if after[path][1] < before[path][1] + 20] == []
    query_counts = {path: queries for path, (queries, _) in before.items()}
    assert {path: queries for path, (queries, _) in after.items()} == query_counts


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "W10",
        "bnVsbA",
        Cursor("nosuch", False, "x", UUID(int=1)).encode(),
        Cursor("newest", False, "not a time", UUID(int=1)).encode(),
        Cursor("newest", False, "2026-01-01T00:00:00", UUID(int=1)).encode(),
        Cursor("name", False, "a\0b", UUID(int=1)).encode(),
        "A" * 5000,
    ],
)
def test_a_forged_or_broken_cursor_is_refused(world: World, cursor: str) -> None:
    answer = world.client(Role.VIEWER).get(PATH, {"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] in {"cursor", "order"}


def test_a_cursor_from_one_organization_shows_none_of_its_rows_to_another(
    world: World, stranger: World
) -> None:
    add_domains(world, [f"ours {number}" for number in range(5)])
    add_domains(stranger, [f"theirs {number}" for number in range(5)])
    cursor = get_page(world.client(Role.VIEWER), limit=2)["next"]
    page = get_page(stranger.client(Role.VIEWER), cursor=cursor)
    assert "ours" not in orjson.dumps(page).decode()
