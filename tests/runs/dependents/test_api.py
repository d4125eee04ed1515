"""After which pipelines a pipeline runs, over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from apps.orgs.members import domains
from apps.orgs.models import AuditEvent
from apps.orgs.principals import SYSTEM
from apps.orgs.roles import Role
from tests.runs.conftest import make_pipeline
from tests.runs.dependents.conftest import chain, dependencies_of, path_of, run_after
from tests.world import World, make_world

GRAPH = "/api/v1/dependencies"


def ids(*pipelines: Any) -> dict[str, list[str]]:
    return {"upstream_ids": [str(pipeline.pk) for pipeline in pipelines]}


def test_a_member_lets_a_pipeline_run_after_others(world: World) -> None:
    orders, customers, report = (make_pipeline(world, name=n) for n in ("Orders", "Customers", "R"))

    shown = run_after(world, report, orders, customers, mode="any", window_seconds=3600)

    assert shown == dependencies_of(world, report)
    assert [row["pipeline"]["name"] for row in shown["upstreams"]] == ["Customers", "Orders"]
    assert (shown["mode"], shown["window_seconds"], shown["state"]) == ("any", 3600, "waiting")
    assert shown["reason"] == (
        "Waits for Customers, which has no new success; or for Orders, which has no new success."
    )
    assert dependencies_of(world, orders)["downstreams"] == [{"id": str(report.pk), "name": "R"}]
    nodes = world.client(Role.VIEWER).get(GRAPH).json()["pipelines"]
    assert {node["name"]: node["mode"] for node in nodes}["R"] == "any"
    with world.scope():
        event = AuditEvent.objects.for_org(world.org).get(action="pipeline.dependencies")
    assert event.changes == {
        "run_after": [[], ["Customers", "Orders"]],
        "run_after_mode": ["all", "any"],
        "run_after_window_seconds": [None, 3600],
    }
    assert run_after(world, report)["state"] == "none"
    assert dependencies_of(world, orders)["downstreams"] == []


def test_a_viewer_sees_dependencies_but_does_not_change_them(world: World) -> None:
    orders, report = chain(world, "Orders", "Report")
    viewer = world.client(Role.VIEWER)
    assert viewer.get(path_of(report)).status_code == 200
    assert viewer.put(path_of(report), ids(orders)).status_code == 403
    nodes = viewer.get(GRAPH).json()
    assert [node["name"] for node in nodes["pipelines"]] == ["Orders", "Report"]
    assert nodes["edges"] == [{"pipeline_id": str(report.pk), "upstream_id": str(orders.pk)}]


def test_a_pipeline_of_another_org_does_not_exist(world: World) -> None:
    report = make_pipeline(world)
    other = make_world("Other")
    foreign = make_pipeline(other)
    stranger = other.client(Role.OWNER)
    assert stranger.get(path_of(report)).status_code == 404
    assert stranger.put(path_of(report), ids()).status_code == 404
    for pk in (foreign.pk, uuid4()):
        refused = world.client().put(path_of(report), {"upstream_ids": [str(pk)]})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "upstream_ids.0"
    assert stranger.get(GRAPH).json() == {"pipelines": [], "edges": []}


def test_a_cycle_is_refused_with_its_path(world: World) -> None:
    orders, report, mail = chain(world, "Orders", "Report", "Mail")
    refused = world.client().put(path_of(orders), ids(mail))
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {
            "field": "upstream_ids",
            "message": "Orders would run after itself: Orders → Report → Mail → Orders.",
            "code": "cycle",
        }
    ]
    itself = world.client().put(path_of(report), ids(report))
    assert "Report → Report" in itself.json()["errors"][0]["message"]


def test_a_change_from_an_old_version_is_refused(world: World) -> None:
    orders, report = chain(world, "Orders", "Report")
    client = world.client()
    old = client.get(path_of(report)).headers["ETag"]
    changed = client.put(path_of(report), ids(orders), headers={"If-Match": old})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != old
    assert client.put(path_of(report), ids(), headers={"If-Match": old}).status_code == 412
    assert dependencies_of(world, report)["upstreams"]


def test_wrong_fields_are_named(world: World) -> None:
    report = make_pipeline(world)
    client = world.client()
    for body, field in (
        ({}, "upstream_ids"),
        ({"upstream_ids": ["x"]}, "upstream_ids.0"),
        ({"upstream_ids": [], "mode": "some"}, "mode"),
        ({"upstream_ids": [], "window_seconds": 5}, "window_seconds"),
    ):
        refused = client.put(path_of(report), body)
        assert refused.status_code == 422, body
        assert refused.json()["errors"][0]["field"] == field


def test_a_key_of_a_domain_sees_no_names_of_other_domains_and_removes_nothing_hidden(
    world: World,
) -> None:
    with world.scope():
        domain = domains.create(org=world.org, by=SYSTEM, name="Marketing")
    secret, plain = make_pipeline(world, name="Secret"), make_pipeline(world, name="Plain")
    report, mail = (make_pipeline(world, name=n, domain=domain) for n in ("Report", "Mail"))
    run_after(world, report, secret, plain)
    run_after(world, secret, mail)
    key = world.client(Role.OWNER).post(
        "/api/v1/org/api-keys", {"name": "k", "role": "member", "domain_id": str(domain.pk)}
    )
    client = world.client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key.json()['key']}")

    shown = client.get(path_of(report)).json()
    assert (shown["upstreams"], shown["hidden"]) == ([], 2)
    assert "Secret" not in str(shown)
    assert "a pipeline that you cannot see" in shown["reason"]
    assert client.put(path_of(report), ids(secret)).status_code == 422
    refused = client.put(path_of(mail), ids(report))
    assert refused.json()["errors"][0]["message"] == (
        "Mail would run after itself: Mail → a pipeline that you cannot see → Report → Mail."
    )
    assert client.put(path_of(report), ids(mail)).status_code == 200
    names = [row["pipeline"]["name"] for row in dependencies_of(world, report)["upstreams"]]
    assert names == ["Mail", "Plain", "Secret"]
    assert {node["name"] for node in client.get(GRAPH).json()["pipelines"]} == {"Mail", "Report"}


def test_the_number_of_queries_does_not_grow(
    world: World, django_assert_max_num_queries: Any
) -> None:
    pipelines = chain(world, *(f"P{number}" for number in range(12)))
    client = world.client()
    for path in (path_of(pipelines[5]), GRAPH):
        with django_assert_max_num_queries(16):
            assert client.get(path).status_code == 200


def test_a_deleted_upstream_pipeline_is_no_longer_waited_for(world: World) -> None:
    orders, customers, report = (make_pipeline(world, name=n) for n in ("Orders", "Customers", "R"))
    run_after(world, report, orders, customers)
    assert world.client().delete(f"/api/v1/pipelines/{orders.pk}").status_code == 204
    shown = dependencies_of(world, report)
    assert [row["pipeline"]["name"] for row in shown["upstreams"]] == ["Customers"]
