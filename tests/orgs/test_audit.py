"""The audit log: filters, pages, and exports that a spreadsheet can open safely."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.utils import timezone

from apps.orgs.members import domains, exports
from apps.orgs.models import AuditEvent
from apps.orgs.principals import Actor
from apps.orgs.roles import Role
from tests.isolation.planted import principal
from tests.world import World


def trail(world: World, **query: Any) -> list[dict[str, Any]]:
    answer = world.client(Role.ADMIN).get("/api/v1/org/audit", query)
    assert answer.status_code == 200, answer.content
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def export(world: World, **query: Any) -> str:
    answer: Any = world.client(Role.ADMIN).get("/api/v1/org/audit/export", query)
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content).decode()


def make_domain(world: World, name: str, by: Role = Role.ADMIN) -> str:
    made: str = world.client(by).post("/api/v1/org/domains", {"name": name}).json()["id"]
    return made


def test_the_newest_event_comes_first_with_who_and_from_where(world: World) -> None:
    domain = make_domain(world, "Marketing")
    event = trail(world)[0]
    assert event["action"] == "domain.create"
    assert event["actor_label"] == world.users[Role.ADMIN].email
    assert event["object_id"] == domain
    assert event["ip"] == "127.0.0.1"


def test_what_a_program_does_for_a_person_names_both(world: World) -> None:
    with world.scope():
        admin = principal(world, Role.ADMIN)
        program = admin.acting_through(Actor("system", None, "Agent"))
        assert program.permissions() == admin.permissions()
        domains.create(org=world.org, by=program, name="Of both")
    make_domain(world, "Of one")
    email = world.users[Role.ADMIN].email
    alone, both = trail(world, action="domain.create")
    assert "on_behalf_of" not in alone
    assert both["actor_label"] == "Agent"
    person = {"kind": "user", "id": str(world.users[Role.ADMIN].pk), "name": email}
    assert both["on_behalf_of"] == person
    lines = [orjson.loads(line) for line in export(world, format="jsonl").splitlines()]
    shown = {line["object_label"]: line.get("on_behalf_of") for line in lines}
    assert (shown["Of both"], shown["Of one"]) == (person, None)
    cells = {
        row["object_label"]: row["on_behalf_of"]
        for row in csv.DictReader(io.StringIO(export(world, format="csv")))
    }
    assert orjson.loads(cells["Of both"]) == person
    assert cells["Of one"] == ""


def test_the_trail_is_filtered(world: World) -> None:
    mine = make_domain(world, "One")
    make_domain(world, "Two", by=Role.OWNER)
    owner = str(world.users[Role.OWNER].pk)
    assert {e["object_label"] for e in trail(world, actor=owner)} == {"Two"}
    assert {e["object_label"] for e in trail(world, object=mine)} == {"One"}
    assert len(trail(world, action="domain.create", object_kind="domain")) == 2
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    assert trail(world, since=later) == []
    assert len(trail(world, until=later)) == 3


@pytest.mark.parametrize(
    "query",
    [
        {"actor": "me"},
        {"since": "yesterday"},
        {"action": "x" * 61},
        {"who": "me"},
        {"object": "\0"},
        {"limit": "0"},
        {"limit": "9" * 26},
        {"order": "random"},
        {"cursor": "###"},
        {"cursor": "W10"},
    ],
)
def test_a_bad_filter_names_the_parameter(world: World, query: dict[str, str]) -> None:
    answer = world.client(Role.ADMIN).get("/api/v1/org/audit", query)
    assert answer.status_code in {400, 422}
    assert [error["field"] for error in answer.json()["errors"]] == list(query)


@pytest.mark.parametrize("path", ["/api/v1/org/audit", "/api/v1/org/audit/export"])
def test_members_do_not_see_the_trail(world: World, path: str) -> None:
    assert world.client(Role.MEMBER).get(path).status_code == 403
    assert world.client(Role.MEMBER).head(path).status_code == 403


def test_another_organization_has_its_own_trail(world: World, stranger: World) -> None:
    make_domain(world, "Ours")
    assert "Ours" not in str(trail(stranger))
    assert "Ours" not in export(stranger)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")'])
def test_a_spreadsheet_runs_nothing_of_an_export(world: World, name: str) -> None:
    make_domain(world, name)
    rows = list(csv.DictReader(io.StringIO(export(world, format="csv"))))
    assert "'" + name in {row["object_label"] for row in rows}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_an_export_is_whole_and_is_itself_in_the_trail(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "CHUNK_SIZE", 3)
    for number in range(10):
        make_domain(world, f"Domain {number}")
    lines = [orjson.loads(line) for line in export(world, format="jsonl").splitlines()]
    labels = [line["object_label"] for line in lines if line["action"] == "domain.create"]
    assert labels == [f"Domain {number}" for number in range(10)]
    assert trail(world)[0]["action"] == "audit.export"


def test_an_export_takes_the_same_filters(world: World) -> None:
    make_domain(world, "One")
    make_domain(world, "Two", by=Role.OWNER)
    text = export(world, actor=str(world.users[Role.OWNER].pk))
    assert "Two" in text
    assert "One" not in text


def test_the_trail_goes_with_its_organization_only(world: World) -> None:
    make_domain(world, "One")
    with world.scope():
        assert AuditEvent.objects.for_org(world.org).count() == 2
