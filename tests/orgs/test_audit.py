"""The audit log can be filtered, paged and exported, and a spreadsheet can open the export safely."""

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


def read_events(world: World, **query: Any) -> list[dict[str, Any]]:
    answer = world.client(Role.ADMIN).get("/api/v1/org/audit", query)
    assert answer.status_code == 200, answer.content
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def download_export(world: World, **query: Any) -> str:
    answer: Any = world.client(Role.ADMIN).get("/api/v1/org/audit/export", query)
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content).decode()


def make_domain(world: World, name: str, by: Role = Role.ADMIN) -> str:
    domain_id: str = world.client(by).post("/api/v1/org/domains", {"name": name}).json()["id"]
    return domain_id


def test_the_newest_event_is_first_and_contains_the_actor_and_the_ip_address(world: World) -> None:
    domain_id = make_domain(world, "Marketing")
    event = read_events(world)[0]
    assert event["action"] == "domain.create"
    assert event["actor_label"] == world.users[Role.ADMIN].email
    assert event["object_id"] == domain_id
    assert event["ip"] == "127.0.0.1"


def test_an_event_of_a_program_that_acts_for_a_person_names_both(world: World) -> None:
    with world.scope():
        admin = principal(world, Role.ADMIN)
        program = admin.acting_through(Actor("system", None, "Agent"))
        assert program.permissions() == admin.permissions()
        domains.create(org=world.org, by=program, name="By the program")
    make_domain(world, "By the person")
    email = world.users[Role.ADMIN].email
    event_of_person, event_of_program = read_events(world, action="domain.create")
    assert "on_behalf_of" not in event_of_person
    assert event_of_program["actor_label"] == "Agent"
    person = {"kind": "user", "id": str(world.users[Role.ADMIN].pk), "name": email}
    assert event_of_program["on_behalf_of"] == person
    lines = [orjson.loads(line) for line in download_export(world, format="jsonl").splitlines()]
    on_behalf_of_by_label = {line["object_label"]: line.get("on_behalf_of") for line in lines}
    assert (on_behalf_of_by_label["By the program"], on_behalf_of_by_label["By the person"]) == (
        person,
        None,
    )
    cells = {
        row["object_label"]: row["on_behalf_of"]
        for row in csv.DictReader(io.StringIO(download_export(world, format="csv")))
    }
    assert orjson.loads(cells["By the program"]) == person
    assert cells["By the person"] == ""


def test_the_audit_log_can_be_filtered(world: World) -> None:
    domain_id = make_domain(world, "One")
    make_domain(world, "Two", by=Role.OWNER)
    owner = str(world.users[Role.OWNER].pk)
    assert {e["object_label"] for e in read_events(world, actor=owner)} == {"Two"}
    assert {e["object_label"] for e in read_events(world, object=domain_id)} == {"One"}
    assert len(read_events(world, action="domain.create", object_kind="domain")) == 2
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    assert read_events(world, since=later) == []
    assert len(read_events(world, until=later)) == 3


def test_the_audit_log_is_searched_by_actor_and_object(world: World) -> None:
    make_domain(world, "Sales 100%")
    make_domain(world, "Two", by=Role.OWNER)
    owner = world.users[Role.OWNER].email
    assert {e["object_label"] for e in read_events(world, q="sales")} == {"Sales 100%"}
    assert {e["object_label"] for e in read_events(world, q="0%")} == {"Sales 100%"}
    assert {e["object_label"] for e in read_events(world, q=owner.upper())} == {"Two"}
    assert len(read_events(world, q="")) == 3
    assert "Two" not in download_export(world, q="sales")


@pytest.mark.parametrize(
    "query",
    [
        {"actor": "me"},
        {"since": "yesterday"},
        {"action": "x" * 61},
        {"who": "me"},
        {"object": "\0"},
        {"q": "x" * 121},
        {"limit": "0"},
        {"limit": "9" * 26},
        {"order": "random"},
        {"cursor": "###"},
        {"cursor": "W10"},
    ],
)
def test_an_invalid_filter_is_rejected_with_the_name_of_the_parameter(
    world: World, query: dict[str, str]
) -> None:
    answer = world.client(Role.ADMIN).get("/api/v1/org/audit", query)
    assert answer.status_code in {400, 422}
    assert [error["field"] for error in answer.json()["errors"]] == list(query)


@pytest.mark.parametrize("path", ["/api/v1/org/audit", "/api/v1/org/audit/export"])
def test_members_may_not_read_the_audit_log(world: World, path: str) -> None:
    assert world.client(Role.MEMBER).get(path).status_code == 403
    assert world.client(Role.MEMBER).head(path).status_code == 403


def test_the_audit_log_contains_no_events_of_another_org(world: World, stranger: World) -> None:
    make_domain(world, "Ours")
    assert "Ours" not in str(read_events(stranger))
    assert read_events(stranger, q="ours") == []
    assert "Ours" not in download_export(stranger)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")'])
def test_no_cell_of_an_export_is_a_formula(world: World, name: str) -> None:
    make_domain(world, name)
    rows = list(csv.DictReader(io.StringIO(download_export(world, format="csv"))))
    assert "'" + name in {row["object_label"] for row in rows}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_an_export_contains_every_event_and_is_audited(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "CHUNK_SIZE", 3)
    for number in range(10):
        make_domain(world, f"Domain {number}")
    lines = [orjson.loads(line) for line in download_export(world, format="jsonl").splitlines()]
    labels = [line["object_label"] for line in lines if line["action"] == "domain.create"]
    assert labels == [f"Domain {number}" for number in range(10)]
    assert read_events(world)[0]["action"] == "audit.export"


def test_an_export_can_be_filtered(world: World) -> None:
    make_domain(world, "One")
    make_domain(world, "Two", by=Role.OWNER)
    text = download_export(world, actor=str(world.users[Role.OWNER].pk))
    assert "Two" in text
    assert "One" not in text


def test_creating_an_org_and_a_domain_adds_two_events(world: World) -> None:
    make_domain(world, "One")
    with world.scope():
        assert AuditEvent.objects.for_org(world.org).count() == 2
