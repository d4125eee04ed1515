"""Keyset pages: every remaining row is returned exactly once, whatever is added and removed meanwhile."""

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


def add(world: World, names: list[str]) -> list[str]:
    """Create domains, several with the same second, so that ties must be broken."""
    with world.scope():
        rows = Domain.unscoped.bulk_create(
            [Domain(org=world.org, name=name) for name in names], batch_size=200
        )
        for number, row in enumerate(rows):
            row.created_at = START + timedelta(seconds=number // 3)
        Domain.unscoped.bulk_update(rows, ["created_at"])
    return [str(row.pk) for row in rows]


def remove(world: World, ids: list[str]) -> None:
    with world.scope():
        Domain.objects.for_org(world.org).filter(pk__in=ids).delete()


def get(client: APIClient, **query: Any) -> dict[str, Any]:
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
    stable=st.integers(0, 15),
    limit=st.integers(1, 9),
    order=st.sampled_from(["name", "newest"]),
    changes=st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=8),
)
def test_walking_there_and_back_meets_every_lasting_row_once(
    world: World, stable: int, limit: int, order: str, changes: list[tuple[bool, int]]
) -> None:
    with transaction.atomic():
        client = world.client(Role.VIEWER)
        lasting = set(add(world, [f"d{number:03}" for number in range(stable)]))
        passing = add(world, [f"d{number:03}x" for number in range(6)])
        coming, fresh = iter(changes), count()

        def disturb() -> None:
            adds, place = next(coming, (False, 0))
            if adds:
                passing.extend(add(world, [f"d{place:03}-{next(fresh)}"]))
            elif passing:
                remove(world, [passing.pop(place % len(passing))])

        there = walk(client, "next", {"order": order, "limit": limit}, disturb)
        assert [row for row in there.ids if row in lasting] == sorted_ids(world, order, lasting)
        back = walk(client, "previous", {"limit": limit, "cursor": there.last_cursor}, disturb)
        met = there.last_page + back.ids
        assert sorted(row for row in met if row in lasting) == sorted(lasting)
        transaction.set_rollback(True)


class Walk:
    def __init__(self) -> None:
        self.ids: list[str] = []
        self.last_page: list[str] = []
        self.last_cursor: str | None = None


def walk(client: APIClient, way: str, query: dict[str, Any], disturb: Any) -> Walk:
    """Follow one direction to its end. `cursor` None means no pages."""
    done = Walk()
    if "cursor" in query and query["cursor"] is None:
        return done
    while True:
        body = get(client, **query)
        done.last_page = [row["id"] for row in body["results"]]
        done.ids += done.last_page
        done.last_cursor = body["previous"]
        if body[way] is None:
            return done
        query = {"limit": query["limit"], "cursor": body[way]}
        disturb()


def sorted_ids(world: World, order: str, lasting: set[str]) -> list[str]:
    columns = ("name", "id") if order == "name" else ("-created_at", "-id")
    with world.scope():
        rows = Domain.objects.for_org(world.org).order_by(*columns).values_list("id", flat=True)
        return [str(row) for row in rows if str(row) in lasting]


def test_a_page_counts_everything_and_links_both_ways(world: World) -> None:
    add(world, [f"d{number}" for number in range(5)])
    client = world.client(Role.VIEWER)
    first = get(client, limit=2, order="name")
    assert (first["count"], first["previous"]) == (5, None)
    second = get(client, limit=2, cursor=first["next"])
    third = get(client, limit=2, cursor=second["next"])
    assert [row["name"] for row in third["results"]] == ["d4"]
    assert third["next"] is None
    again = get(client, limit=2, cursor=third["previous"])
    assert again["results"] == second["results"]
    start = get(client, limit=2, cursor=again["previous"])
    assert (start["results"], start["previous"]) == (first["results"], None)


LISTS = (
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


def listed(client: APIClient, path: str) -> tuple[int, int]:
    """Return (queries, rows) of a list's first page with the largest limit."""
    size = {"count": 200} if "/scim/v2/" in path else {} if "groups" in path else {"limit": 200}
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path, size)
        assert answer.status_code == 200, answer.content
    rows = next(rows for rows in answer.json().values() if isinstance(rows, list) and rows)
    return len(captured), len(answer.json().get("Resources", rows))


@pytest.mark.parametrize("path", LISTS)
def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(db: None, path: str) -> None:
    from tests.isolation.planted import fill, plant

    planted = plant()
    client = planted.world.client(Role.OWNER)
    few, rows = listed(client, path)
    fill(planted, 20)
    many, all_rows = listed(client, path)
    assert all_rows >= rows + 20
    assert many == few


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
def test_a_cursor_that_is_none_of_ours_is_refused(world: World, cursor: str) -> None:
    answer = world.client(Role.VIEWER).get(PATH, {"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] in {"cursor", "order"}


def test_a_cursor_leads_nowhere_in_another_organization(world: World, stranger: World) -> None:
    add(world, [f"ours {number}" for number in range(5)])
    add(stranger, [f"theirs {number}" for number in range(5)])
    cursor = get(world.client(Role.VIEWER), limit=2)["next"]
    shown = get(stranger.client(Role.VIEWER), cursor=cursor)
    assert "ours" not in orjson.dumps(shown).decode()
