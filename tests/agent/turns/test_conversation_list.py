"""Users search their own conversations by their titles. A stranger finds none of them."""

from __future__ import annotations

from apps.orgs.roles import Role
from tests.world import World

URL = "/api/v1/agent/conversations"


def found(world: World, text: str, role: Role = Role.MEMBER) -> list[str]:
    answer = world.client(role).get(URL, {"q": text}).json()
    assert answer["count"] == len(answer["results"])
    return sorted(row["title"] for row in answer["results"])


def test_conversations_are_searched_by_title_and_nobody_else_finds_them(
    world: World, stranger: World
) -> None:
    for title in ("Sync the orders", "Why did 100% fail?"):
        assert world.client().post(URL, {"title": title}, format="json").status_code == 201
    assert found(world, "") == ["Sync the orders", "Why did 100% fail?"]
    assert found(world, "ORDER") == ["Sync the orders"]
    assert found(world, "%") == ["Why did 100% fail?"]
    assert found(world, "order", Role.ADMIN) == found(stranger, "order") == []
    refused = world.client().get(URL, {"q": "x" * 121}).json()
    assert refused["errors"][0]["field"] == "q"
