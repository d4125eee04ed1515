"""Saved views of the list of pipelines belong to one member."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.orgs.models import AuditEvent, Membership
from apps.orgs.roles import Role
from apps.pipelines.models import SavedView
from apps.pipelines.saved_views.services import MAX_VIEWS
from tests.world import World

URL = "/api/v1/views"
VIEW = {"name": "Failing", "filter": {"status": "failed", "group": "domain"}}


def test_a_viewer_saves_renames_and_deletes_a_view(world: World) -> None:
    client = world.client(Role.VIEWER)
    created = client.post(URL, VIEW)
    assert created.status_code == 201, created.content
    address = f"{URL}/{created.json()['id']}"
    renamed = client.patch(address, {"name": "Broken"}, headers={"If-Match": created["ETag"]})
    assert renamed.json()["name"] == "Broken"
    assert renamed.json()["filter"] == VIEW["filter"]
    assert (
        client.patch(address, {"name": "Late"}, headers={"If-Match": created["ETag"]}).status_code
        == 412
    )
    assert [row["name"] for row in client.get(URL).json()["results"]] == ["Broken"]
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    with world.scope():
        actions = AuditEvent.objects.for_org(world.org).filter(object_kind="view")
        assert set(actions.values_list("action", flat=True)) == {
            "view.create", "view.update", "view.delete",
        }  # fmt: skip


def test_other_members_and_strangers_do_not_see_a_view(world: World, stranger: World) -> None:
    address = f"{URL}/{world.client(Role.VIEWER).post(URL, VIEW).json()['id']}"
    for client in (world.client(Role.OWNER), stranger.client(Role.OWNER)):
        assert client.get(URL).json()["count"] == 0
        assert client.get(address).status_code == 404
        assert client.patch(address, {"name": "Mine"}).status_code == 404
        assert client.delete(address).status_code == 404


def test_a_name_is_used_once_by_each_member(world: World) -> None:
    client = world.client(Role.MEMBER)
    client.post(URL, VIEW)
    again = client.post(URL, {**VIEW, "name": "failing"})
    assert (again.status_code, again.json()["code"]) == (409, "name_taken")
    assert world.client(Role.VIEWER).post(URL, VIEW).status_code == 201


def test_a_member_has_a_limited_number_of_views(world: World) -> None:
    client = world.client(Role.MEMBER)
    client.post(URL, VIEW)
    with world.scope():
        (view,) = SavedView.objects.for_org(world.org)
        SavedView.unscoped.bulk_create(
            SavedView(org=world.org, membership=view.membership, name=f"View {n}")
            for n in range(MAX_VIEWS - 1)
        )
    refused = client.post(URL, {**VIEW, "name": "One more"})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_views")


def test_views_of_one_member_are_counted_one_request_after_the_other(world: World) -> None:
    with CaptureQueriesContext(connection) as queries:
        world.client(Role.MEMBER).post(URL, VIEW)
    statements = [query["sql"] for query in queries]
    count = next(n for n, sql in enumerate(statements) if "COUNT(*)" in sql and "view" in sql)
    assert any("orgs_membership" in sql and "NO KEY UPDATE" in sql for sql in statements[:count])


def test_a_filter_is_a_small_set_of_texts(world: World) -> None:
    client = world.client(Role.MEMBER)
    wrong: list[Any] = [
        {"q": ["x"]},
        {"a b": "x"},
        {f"f{n}": "x" for n in range(21)},
        "x",
        {"q": "x" * 201},
    ]
    for value in wrong:
        answer = client.post(URL, {**VIEW, "filter": value})
        assert answer.status_code == 422, value
        assert answer.json()["errors"][0]["field"].startswith("filter")


def test_the_views_of_a_member_end_with_the_membership(world: World) -> None:
    world.client(Role.MEMBER).post(URL, VIEW)
    with world.scope():
        Membership.objects.for_org(world.org).filter(user=world.users[Role.MEMBER]).delete()
        assert not SavedView.objects.for_org(world.org).exists()
