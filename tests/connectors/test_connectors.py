"""Saved connectors: permissions, stored data, and responses."""

from __future__ import annotations

from typing import Any

import pytest

from apps.connectors import services
from apps.connectors.models import Connector
from apps.orgs.models import AuditEvent, Domain
from apps.orgs.roles import Role
from tests.world import World, make_connector, make_pipeline

URL = "/api/v1/connectors"
PASSWORD = "canary-of-a-password-7q2x"


def body(**changes: Any) -> dict[str, Any]:
    config = {"host": "db.example.com", "database": "shop", "user": "reader", "password": PASSWORD}
    return {
        "name": "Shop",
        "role": "source",
        "kind": "postgres",
        "config": {**config, **changes.pop("config", {})},
        **changes,
    }


def create(world: World, **changes: Any) -> dict[str, Any]:
    answer = world.client().post(URL, body(**changes))
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def plain(world: World, pk: str) -> dict[str, Any]:
    """Return the settings that the engine would get."""
    with world.scope():
        return services.kind_and_settings(
            world.org, Connector.objects.for_org(world.org).get(pk=pk)
        )[1]


def fields(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.content
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def test_a_connector_shows_its_settings_and_only_the_hint_of_its_secret(world: World) -> None:
    made = create(world)
    assert made["config"]["password"] == {"set": True, "last4": "7q2x"}
    read = world.client(Role.VIEWER).get(f"{URL}/{made['id']}")
    assert read.status_code == 200
    assert read.json() == made
    assert PASSWORD not in read.content.decode()
    assert read.headers["ETag"] == '"1"'
    assert plain(world, made["id"])["password"] == PASSWORD


def test_a_short_secret_has_no_hint(world: World) -> None:
    made = create(world, config={"password": "hunter2"})
    assert made["config"]["password"] == {"set": True, "last4": ""}


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("get", "", None),
        ("patch", "", {"name": "Mine"}),
        ("put", "", {"name": "Mine", "config": {}}),
        ("delete", "", None),
        ("post", "/check", {}),
        ("get", "/streams", None),
    ],
)
def test_a_stranger_cannot_tell_a_connector_from_none(
    world: World, stranger: World, method: str, path: str, sent: Any
) -> None:
    made = make_connector(world)
    ask = getattr(stranger.client(Role.OWNER), method)
    foreign = ask(f"{URL}/{made.pk}{path}", sent)
    unknown = ask(f"{URL}/0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10{path}", sent)
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


def test_a_viewer_reads_and_changes_nothing(world: World) -> None:
    made = make_connector(world)
    viewer = world.client(Role.VIEWER)
    assert viewer.get(URL).json()["count"] == 1
    assert viewer.post(URL, body()).status_code == 403
    assert viewer.post(f"{URL}/check", {}).status_code == 403
    assert viewer.patch(f"{URL}/{made.pk}", {"name": "x"}).status_code == 403
    assert viewer.put(f"{URL}/{made.pk}", {"name": "x", "config": {}}).status_code == 403
    assert viewer.delete(f"{URL}/{made.pk}").status_code == 403
    assert viewer.post(f"{URL}/{made.pk}/check", {}).status_code == 403


def test_the_list_has_no_settings_and_is_filtered(world: World) -> None:
    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Sales")
    create(world, domain_id=str(domain.pk), description="orders of the shop")
    make_connector(world, name="Made up")
    make_connector(world, role="destination", kind="logger", name="Log")
    client = world.client(Role.VIEWER)

    def names(**query: Any) -> set[str]:
        rows = client.get(URL, query).json()["results"]
        assert not any("config" in row for row in rows)
        return {row["name"] for row in rows}

    assert names() == {"Shop", "Made up", "Log"}
    assert names(role="destination") == {"Log"}
    assert names(kind="dummy") == {"Made up"}
    assert names(domain=str(domain.pk)) == {"Shop"}
    assert names(q="ORDERS") == {"Shop"}
    assert names(q="%") == set()


def test_listing_many_costs_as_many_queries_as_listing_one(
    world: World, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    client = world.client(Role.VIEWER)
    make_connector(world)
    with django_assert_max_num_queries(12) as one:
        client.get(URL)
    for _ in range(15):
        make_connector(world)
    with django_assert_num_queries(len(one)):
        assert len(client.get(URL).json()["results"]) == 16


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"config": {"port": "5433"}}, {"config.port": "type"}),
        ({"config": {"port": 70000}}, {"config.port": "maximum"}),
        ({"config": {"prot": 1}}, {"config.prot": "unknown"}),
        ({"config": {"host": None}}, {"config.host": "required"}),
        ({"config": {"sslmode": "maybe"}}, {"config.sslmode": "enum"}),
        ({"config": {"schemas": [1]}}, {"config.schemas.0": "type"}),
        ({"config": {"password": ["x"]}}, {"config.password": "type"}),
        ({"config": {"password": {"set": True}}}, {"config.password": "secret_required"}),
        ({"kind": "postgrse"}, {"kind": "unknown"}),
        ({"role": "sink"}, {"role": "invalid_choice"}),
        ({"colour": "red"}, {"colour": "unknown"}),
        ({"domain_id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10"}, {"domain_id": "unknown"}),
        ({"name": "x" * 1_000_000}, {"name": "max_length"}),
        ({"name": "nul\0"}, {"name": "nul"}),
    ],
)
def test_wrong_fields_are_named_by_their_path(
    world: World, sent: dict[str, Any], expected: dict[str, str]
) -> None:
    assert fields(world.client().post(URL, body(**sent))) == expected


def test_an_unknown_field_suggests_the_nearest_one(world: World) -> None:
    answer = world.client().post(URL, body(config={"usre": "x"}))
    (error,) = answer.json()["errors"]
    assert error["message"] == "Unknown field; did you mean user?"


def test_settings_are_an_object_of_bounded_depth(world: World) -> None:
    deep: Any = 1
    for _ in range(60):
        deep = {"a": deep}
    assert fields(world.client().post(URL, {**body(), "config": deep})) == {"config": "deep"}
    assert fields(world.client().post(URL, {**body(), "config": []})) == {"config": "object"}


def test_errors_never_repeat_a_value(world: World) -> None:
    answer = world.client().post(URL, body(config={"password": [PASSWORD], "sslmode": PASSWORD}))
    assert answer.status_code == 422
    assert PASSWORD not in answer.content.decode()


@pytest.mark.parametrize("sent", [{}, {"password": {"set": True, "last4": "7q2x"}}])
def test_a_secret_left_out_or_sent_as_its_marker_is_kept(
    world: World, sent: dict[str, Any]
) -> None:
    made = create(world)
    client = world.client()
    patched = client.patch(f"{URL}/{made['id']}", {"config": {"database": "other", **sent}})
    assert patched.status_code == 200, patched.content
    assert patched.headers["ETag"] == '"2"'
    config = {k: v for k, v in made["config"].items() if k != "password"}
    replaced = client.put(f"{URL}/{made['id']}", {"name": "Shop", "config": {**config, **sent}})
    assert replaced.status_code == 200, replaced.content
    assert plain(world, made["id"]) == {**config, "password": PASSWORD}


def test_a_null_removes_an_optional_secret(world: World) -> None:
    made = create(world)
    answer = world.client().patch(f"{URL}/{made['id']}", {"config": {"password": None}})
    assert "password" not in answer.json()["config"]
    assert "password" not in plain(world, made["id"])


def test_a_patch_merges_and_a_null_removes_a_setting(world: World) -> None:
    made = create(world, config={"port": 5433, "schemas": ["a", "b"]})
    answer = world.client().patch(
        f"{URL}/{made['id']}", {"config": {"schemas": ["c"], "port": None, "password": PASSWORD}}
    )
    assert answer.status_code == 200, answer.content
    config = answer.json()["config"]
    assert config["schemas"] == ["c"]
    assert "port" not in config


def test_the_marker_of_another_value_is_refused(world: World) -> None:
    made = create(world)
    sent = {"config": {"password": {"set": True, "last4": "zzzz"}}}
    answer = world.client().patch(f"{URL}/{made['id']}", sent)
    assert fields(answer) == {"config.password": "secret_required"}


@pytest.mark.parametrize("change", [{"host": "evil.example.net"}, {"port": 6543}])
@pytest.mark.parametrize("marker", [{}, {"password": {"set": True, "last4": "7q2x"}}])
def test_a_saved_secret_does_not_follow_a_changed_host(
    world: World, change: dict[str, Any], marker: dict[str, Any]
) -> None:
    made = create(world)
    client = world.client()
    path = f"{URL}/{made['id']}"
    assert fields(client.patch(path, {"config": {**change, **marker}})) == {
        "config.password": "secret_required"
    }
    config = {**made["config"], **change}
    assert fields(client.put(path, {"name": "Shop", "config": config})) == {
        "config.password": "secret_required"
    }
    again = client.patch(path, {"config": {**change, "password": "another-password"}})
    assert again.status_code == 200, again.content
    assert plain(world, made["id"])["password"] == "another-password"


def test_an_explicit_default_port_does_not_change_the_place(world: World) -> None:
    made = create(world)
    answer = world.client().patch(f"{URL}/{made['id']}", {"config": {"port": 5432}})
    assert answer.status_code == 200, answer.content


def rest(**config: Any) -> dict[str, Any]:
    return {
        "name": "API",
        "kind": "rest",
        "config": {
            "base_url": "https://api.example.com",
            "auth": {"type": "bearer", "token": PASSWORD},
            "streams": [{"name": "weather", "path": "/weather"}],
            **config,
        },
    }


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "https://evil.example.net"},
        {"streams": [{"name": "weather", "path": "//evil.example.net/"}]},
        {"streams": [{"name": "weather", "path": "https://evil.example.net/"}]},
        {"streams": [{"name": "weather", "path": "@evil.example.net/"}]},
    ],
)
def test_a_token_does_not_follow_another_base_url_or_absolute_path(
    world: World, change: dict[str, Any]
) -> None:
    answer = world.client().post(URL, {"role": "source", **rest()})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    answer = world.client().patch(f"{URL}/{made['id']}", {"config": change})
    assert fields(answer) == {"config.auth.token": "secret_required"}


def test_changing_how_to_log_in_leaves_the_old_secret_behind(world: World) -> None:
    made = world.client().post(URL, {"role": "source", **rest()}).json()
    answer = world.client().patch(f"{URL}/{made['id']}", {"config": {"auth": {"type": "none"}}})
    assert answer.status_code == 200, answer.content
    assert answer.json()["config"]["auth"] == {"type": "none"}
    assert plain(world, made["id"])["auth"] == {"type": "none"}


def test_an_error_inside_a_union_names_the_branch_that_was_meant(world: World) -> None:
    def errors(auth: Any) -> dict[str, str]:
        return fields(world.client().post(URL, {"role": "source", **rest(auth=auth)}))

    assert errors({"type": "bearer"}) == {"config.auth.token": "required"}
    assert errors({"type": "magic"}) == {"config.auth.type": "choice"}
    assert errors({"type": "basic", "username": "x", "token": "y"}) == {
        "config.auth.token": "unknown"
    }


def test_a_name_is_taken_once_per_role(world: World) -> None:
    create(world)
    answer = world.client().post(URL, body(name="SHOP"))
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    other = make_connector(world, name="Other")
    renamed = world.client().patch(f"{URL}/{other.pk}", {"name": "shop"})
    assert renamed.status_code == 409
    make_connector(world, role="destination", kind="logger", name="Shop")


def test_a_stale_if_match_changes_nothing(world: World) -> None:
    made = create(world)
    client = world.client()
    path = f"{URL}/{made['id']}"
    assert client.patch(path, {"name": "New"}, headers={"If-Match": '"1"'}).status_code == 200
    assert client.patch(path, {"name": "Old"}, headers={"If-Match": '"1"'}).status_code == 412
    assert client.delete(path, headers={"If-Match": '"1"'}).status_code == 412
    assert client.get(path).json()["name"] == "New"


def test_a_connector_in_use_is_not_deleted_and_names_its_pipelines(world: World) -> None:
    made = make_connector(world)
    config = {
        "source": {"connector_id": str(made.pk)},
        "streams": [{"stream": "generated"}],
        "destination": {"kind": "logger", "config": {}},
    }
    pipeline = make_pipeline(world, name="Flights", config=config)
    answer = world.client().delete(f"{URL}/{made.pk}")
    assert answer.status_code == 409
    assert answer.json()["pipelines"] == [{"id": str(pipeline.pk), "name": "Flights"}]
    assert world.client().delete(f"/api/v1/pipelines/{pipeline.pk}").status_code == 204
    assert world.client().delete(f"{URL}/{made.pk}").status_code == 204
    assert world.client().get(f"{URL}/{made.pk}").status_code == 404


def test_every_change_is_audited_with_masks(world: World) -> None:
    made = create(world)
    client = world.client()
    path = f"{URL}/{made['id']}"
    client.patch(path, {"config": {"password": "canary-of-the-next-one-8w3y"}})
    client.patch(path, {"name": "Store"})
    client.patch(path, {"name": "Store"})
    client.delete(path)
    with world.scope():
        events = list(
            AuditEvent.objects.for_org(world.org)
            .filter(object_kind="connector")
            .order_by("id")
            .values_list("action", "changes")
        )
    assert [action for action, _ in events] == [
        "connector.create",
        "connector.update",
        "connector.update",
        "connector.delete",
    ]
    assert "canary" not in str(events)
    assert events[1][1]["secrets_replaced"] == [None, ["password"]]
    assert events[2][1] == {"name": ["Shop", "Store"]}


def test_a_change_forgets_the_last_check(world: World) -> None:
    made = make_connector(world)
    with world.scope():
        services.store_check_result(
            org=world.org, connector_id=made.pk, version=made.version, ok=True
        )
    path = f"{URL}/{made.pk}"
    assert world.client().get(path).json()["check_ok"] is True
    changed = world.client().patch(path, {"config": {"rows": 5}}).json()
    assert (changed["check_ok"], changed["checked_at"]) == (None, None)
    with world.scope():
        services.store_check_result(
            org=world.org, connector_id=made.pk, version=made.version, ok=True
        )
    assert world.client().get(path).json()["check_ok"] is None
