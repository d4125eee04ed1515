"""Saved connectors: permissions, stored data, and responses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.connectors import services
from apps.connectors.models import Connector
from apps.orgs.models import AuditEvent, Domain
from apps.orgs.roles import Role
from tests.world import World, make_connector, make_pipeline

URL = "/api/v1/connectors"
PASSWORD = "canary-of-a-password-7q2x"


def connector_body(**changes: Any) -> dict[str, Any]:
    config = {"host": "db.example.com", "database": "shop", "user": "reader", "password": PASSWORD}
    return {
        "name": "Shop",
        "role": "source",
        "kind": "postgres",
        "config": {**config, **changes.pop("config", {})},
        **changes,
    }


def create_connector(world: World, **changes: Any) -> dict[str, Any]:
    answer = world.client().post(URL, connector_body(**changes))
    assert answer.status_code == 201, answer.content
    connector: dict[str, Any] = answer.json()
    return connector


def definition_with(source: Connector, destination: Connector | None = None) -> dict[str, Any]:
    """Return the definition of a pipeline that reads from `source`. Without a destination it writes to the log."""
    return {
        "source": {"connector_id": str(source.pk)},
        "streams": [{"stream": "generated"}],
        "destination": {"connector_id": str(destination.pk)}
        if destination
        else {"kind": "logger", "config": {}},
    }


def stored_settings(world: World, pk: str) -> dict[str, Any]:
    """Return the settings that the engine would receive, with secrets."""
    with world.scope():
        return services.kind_and_settings(
            world.org, Connector.objects.for_org(world.org).get(pk=pk)
        )[1]


def error_codes(answer: Any) -> dict[str, str]:
    """Return the error code of each invalid field."""
    assert answer.status_code == 422, answer.content
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def test_a_response_contains_the_settings_and_only_a_hint_of_the_secret(world: World) -> None:
    connector = create_connector(world)
    assert connector["config"]["password"] == {"set": True, "last4": "7q2x"}
    answer = world.client(Role.VIEWER).get(f"{URL}/{connector['id']}")
    assert answer.status_code == 200
    assert answer.json() == connector
    assert PASSWORD not in answer.content.decode()
    assert answer.headers["ETag"] == '"1"'
    assert stored_settings(world, connector["id"])["password"] == PASSWORD


def test_a_short_secret_has_no_hint(world: World) -> None:
    connector = create_connector(world, config={"password": "hunter2"})
    assert connector["config"]["password"] == {"set": True, "last4": ""}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "", None),
        ("patch", "", {"name": "Mine"}),
        ("put", "", {"name": "Mine", "config": {}}),
        ("delete", "", None),
        ("post", "/check", {}),
        ("get", "/streams", None),
    ],
)
def test_a_stranger_gets_the_same_404_for_a_connector_as_for_an_unknown_id(
    world: World, stranger: World, method: str, path: str, body: Any
) -> None:
    connector = make_connector(world)
    send = getattr(stranger.client(Role.OWNER), method)
    foreign = send(f"{URL}/{connector.pk}{path}", body)
    unknown = send(f"{URL}/0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10{path}", body)
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


def test_a_viewer_may_read_connectors_but_not_change_or_check_them(world: World) -> None:
    connector = make_connector(world)
    viewer = world.client(Role.VIEWER)
    assert viewer.get(URL).json()["count"] == 1
    assert viewer.post(URL, connector_body()).status_code == 403
    assert viewer.post(f"{URL}/check", {}).status_code == 403
    assert viewer.patch(f"{URL}/{connector.pk}", {"name": "x"}).status_code == 403
    assert viewer.put(f"{URL}/{connector.pk}", {"name": "x", "config": {}}).status_code == 403
    assert viewer.delete(f"{URL}/{connector.pk}").status_code == 403
    assert viewer.post(f"{URL}/{connector.pk}/check", {}).status_code == 403


def test_the_list_contains_no_settings_and_can_be_filtered(world: World) -> None:
    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Sales")
    create_connector(world, domain_id=str(domain.pk), description="orders of the shop")
    make_connector(world, name="Made up")
    make_connector(world, role="destination", kind="logger", name="Log")
    client = world.client(Role.VIEWER)

    def list_names(**query: Any) -> set[str]:
        rows = client.get(URL, query).json()["results"]
        assert not any("config" in row for row in rows)
        return {row["name"] for row in rows}

    assert list_names() == {"Shop", "Made up", "Log"}
    assert list_names(role="destination") == {"Log"}
    assert list_names(kind="dummy") == {"Made up"}
    assert list_names(domain=str(domain.pk)) == {"Shop"}
    assert list_names(q="ORDERS") == {"Shop"}
    assert list_names(q="%") == set()


def test_the_list_is_ordered_by_kind_and_by_the_last_test_with_untested_connectors_last(
    world: World,
) -> None:
    """The pages of two connectors also go through those without a test."""
    now = timezone.now()
    for name, kind, days in (("B", "postgres", 2), ("A", "dummy", None), ("C", "rest", 1)):
        connector = make_connector(world, name=name)
        tested = days and now - timedelta(days=days)
        with world.scope():
            rows = Connector.objects.for_org(world.org).filter(pk=connector.pk)
            rows.update(checked_at=tested, kind=kind)
    make_connector(world, name="D", kind="dummy")
    client = world.client(Role.VIEWER)

    def list_names(order: str) -> list[str]:
        first = client.get(URL, {"order": order, "limit": "2"}).json()
        second = client.get(URL, {"cursor": first["next"], "limit": "2"}).json()
        assert second["next"] is None
        return [row["name"] for row in first["results"] + second["results"]]

    assert list_names("tested") == ["C", "B", "D", "A"]
    assert [name for name in list_names("kind") if name in "BC"] == ["B", "C"]
    assert set(list_names("kind")[:2]) == {"A", "D"}


def test_a_connector_says_how_many_pipelines_use_it(world: World, stranger: World) -> None:
    source = make_connector(world)
    destination = make_connector(world, role="destination", kind="logger")
    for number in range(2):
        make_pipeline(world, name=f"Flights {number}", config=definition_with(source, destination))
    make_pipeline(world, name="Other", config=definition_with(source))
    make_pipeline(stranger, config=definition_with(make_connector(stranger)))
    client = world.client(Role.VIEWER)
    counts = {row["id"]: row["pipeline_count"] for row in client.get(URL).json()["results"]}
    assert counts == {str(source.pk): 3, str(destination.pk): 2}
    assert client.get(f"{URL}/{source.pk}").json()["pipeline_count"] == 3
    names = client.get("/api/v1/pipelines", {"connector": destination.pk}).json()["results"]
    assert {row["name"] for row in names} == {"Flights 0", "Flights 1"}


def worked_at(world: World, connector: Connector) -> str | None:
    client = world.client(Role.VIEWER)
    (listed,) = [r for r in client.get(URL).json()["results"] if r["id"] == str(connector.pk)]
    shown = client.get(f"{URL}/{connector.pk}").json()
    assert listed["worked_at"] == shown["worked_at"]
    found: str | None = listed["worked_at"]
    return found


def test_a_connector_says_when_a_run_succeeded_with_its_settings(world: World) -> None:
    source, other = make_connector(world), make_connector(world)
    pipeline = make_pipeline(world, config=definition_with(source))
    assert worked_at(world, source) is None
    with world.scope():
        pipeline.last_success_at = timezone.now()
        pipeline.save(update_fields=["last_success_at"])
    assert worked_at(world, source) is not None
    assert worked_at(world, other) is None

    changes = {"config": definition_with(other)}
    assert world.client().patch(f"/api/v1/pipelines/{pipeline.pk}", changes).status_code == 200
    assert worked_at(world, other) is None, "the run was of a version with another source"


def test_a_run_says_nothing_about_settings_that_were_changed_after_it(world: World) -> None:
    source = make_connector(world)
    pipeline = make_pipeline(world, config=definition_with(source))
    with world.scope():
        pipeline.last_success_at = timezone.now()
        pipeline.save(update_fields=["last_success_at"])
    assert world.client().patch(f"{URL}/{source.pk}", {"description": "New"}).status_code == 200
    assert worked_at(world, source) is None


def test_listing_many_connectors_takes_as_many_queries_as_listing_one(
    world: World, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    client = world.client(Role.VIEWER)
    make_pipeline(world, config=definition_with(make_connector(world)))
    with django_assert_max_num_queries(12) as queries:
        client.get(URL)
    for number in range(15):
        make_pipeline(world, name=f"{number}", config=definition_with(make_connector(world)))
    with django_assert_num_queries(len(queries)):
        assert len(client.get(URL).json()["results"]) == 16


@pytest.mark.parametrize(
    ("changes", "expected"),
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
def test_errors_name_the_path_of_each_invalid_field(
    world: World, changes: dict[str, Any], expected: dict[str, str]
) -> None:
    assert error_codes(world.client().post(URL, connector_body(**changes))) == expected


def test_the_error_for_an_unknown_field_suggests_a_similar_field(world: World) -> None:
    answer = world.client().post(URL, connector_body(config={"usre": "x"}))
    (error,) = answer.json()["errors"]
    assert error["message"] == "Unknown field; did you mean user?"


def test_settings_must_be_an_object_and_not_nested_too_deeply(world: World) -> None:
    deep: Any = 1
    for _ in range(60):
        deep = {"a": deep}
    assert error_codes(world.client().post(URL, {**connector_body(), "config": deep})) == {
        "config": "deep"
    }
    assert error_codes(world.client().post(URL, {**connector_body(), "config": []})) == {
        "config": "object"
    }


def test_errors_never_contain_the_invalid_value(world: World) -> None:
    answer = world.client().post(
        URL, connector_body(config={"password": [PASSWORD], "sslmode": PASSWORD})
    )
    assert answer.status_code == 422
    assert PASSWORD not in answer.content.decode()


@pytest.mark.parametrize("secret", [{}, {"password": {"set": True, "last4": "7q2x"}}])
def test_a_secret_that_is_omitted_or_sent_as_its_marker_stays_stored(
    world: World, secret: dict[str, Any]
) -> None:
    connector = create_connector(world)
    client = world.client()
    patched = client.patch(f"{URL}/{connector['id']}", {"config": {"database": "other", **secret}})
    assert patched.status_code == 200, patched.content
    assert patched.headers["ETag"] == '"2"'
    config = {k: v for k, v in connector["config"].items() if k != "password"}
    replaced = client.put(
        f"{URL}/{connector['id']}", {"name": "Shop", "config": {**config, **secret}}
    )
    assert replaced.status_code == 200, replaced.content
    assert stored_settings(world, connector["id"]) == {**config, "password": PASSWORD}


def test_null_removes_an_optional_secret(world: World) -> None:
    connector = create_connector(world)
    answer = world.client().patch(f"{URL}/{connector['id']}", {"config": {"password": None}})
    assert "password" not in answer.json()["config"]
    assert "password" not in stored_settings(world, connector["id"])


def test_a_patch_replaces_the_given_settings_and_null_removes_a_setting(world: World) -> None:
    connector = create_connector(world, config={"port": 5433, "schemas": ["a", "b"]})
    answer = world.client().patch(
        f"{URL}/{connector['id']}",
        {"config": {"schemas": ["c"], "port": None, "password": PASSWORD}},
    )
    assert answer.status_code == 200, answer.content
    config = answer.json()["config"]
    assert config["schemas"] == ["c"]
    assert "port" not in config


def test_a_marker_that_does_not_match_the_stored_secret_is_rejected(world: World) -> None:
    connector = create_connector(world)
    changes = {"config": {"password": {"set": True, "last4": "zzzz"}}}
    answer = world.client().patch(f"{URL}/{connector['id']}", changes)
    assert error_codes(answer) == {"config.password": "secret_required"}


@pytest.mark.parametrize("change", [{"host": "evil.example.net"}, {"port": 6543}])
@pytest.mark.parametrize("marker", [{}, {"password": {"set": True, "last4": "7q2x"}}])
def test_a_changed_host_or_port_requires_the_secret_again(
    world: World, change: dict[str, Any], marker: dict[str, Any]
) -> None:
    connector = create_connector(world)
    client = world.client()
    path = f"{URL}/{connector['id']}"
    assert error_codes(client.patch(path, {"config": {**change, **marker}})) == {
        "config.password": "secret_required"
    }
    config = {**connector["config"], **change}
    assert error_codes(client.put(path, {"name": "Shop", "config": config})) == {
        "config.password": "secret_required"
    }
    with_secret = client.patch(path, {"config": {**change, "password": "another-password"}})
    assert with_secret.status_code == 200, with_secret.content
    assert stored_settings(world, connector["id"])["password"] == "another-password"


def test_setting_the_default_port_does_not_require_the_secret_again(world: World) -> None:
    connector = create_connector(world)
    answer = world.client().patch(f"{URL}/{connector['id']}", {"config": {"port": 5432}})
    assert answer.status_code == 200, answer.content


def rest_body(**config: Any) -> dict[str, Any]:
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
def test_another_base_url_or_an_absolute_path_requires_the_token_again(
    world: World, change: dict[str, Any]
) -> None:
    answer = world.client().post(URL, {"role": "source", **rest_body()})
    assert answer.status_code == 201, answer.content
    connector = answer.json()
    answer = world.client().patch(f"{URL}/{connector['id']}", {"config": change})
    assert error_codes(answer) == {"config.auth.token": "secret_required"}


def test_changing_the_authentication_type_removes_the_old_secret(world: World) -> None:
    connector = world.client().post(URL, {"role": "source", **rest_body()}).json()
    answer = world.client().patch(
        f"{URL}/{connector['id']}", {"config": {"auth": {"type": "none"}}}
    )
    assert answer.status_code == 200, answer.content
    assert answer.json()["config"]["auth"] == {"type": "none"}
    assert stored_settings(world, connector["id"])["auth"] == {"type": "none"}


def test_an_error_in_settings_with_several_types_refers_to_the_chosen_type(world: World) -> None:
    def codes_of_auth(auth: Any) -> dict[str, str]:
        return error_codes(world.client().post(URL, {"role": "source", **rest_body(auth=auth)}))

    assert codes_of_auth({"type": "bearer"}) == {"config.auth.token": "required"}
    assert codes_of_auth({"type": "magic"}) == {"config.auth.type": "choice"}
    assert codes_of_auth({"type": "basic", "username": "x", "token": "y"}) == {
        "config.auth.token": "unknown"
    }


def test_a_name_is_unique_among_connectors_of_the_same_role(world: World) -> None:
    create_connector(world)
    answer = world.client().post(URL, connector_body(name="SHOP"))
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    other = make_connector(world, name="Other")
    renamed = world.client().patch(f"{URL}/{other.pk}", {"name": "shop"})
    assert renamed.status_code == 409
    make_connector(world, role="destination", kind="logger", name="Shop")


def test_a_request_with_a_stale_if_match_changes_nothing(world: World) -> None:
    connector = create_connector(world)
    client = world.client()
    path = f"{URL}/{connector['id']}"
    assert client.patch(path, {"name": "New"}, headers={"If-Match": '"1"'}).status_code == 200
    assert client.patch(path, {"name": "Old"}, headers={"If-Match": '"1"'}).status_code == 412
    assert client.delete(path, headers={"If-Match": '"1"'}).status_code == 412
    assert client.get(path).json()["name"] == "New"


def test_a_connector_in_use_is_not_deleted_and_the_error_names_its_pipelines(world: World) -> None:
    connector = make_connector(world)
    pipeline = make_pipeline(world, name="Flights", config=definition_with(connector))
    answer = world.client().delete(f"{URL}/{connector.pk}")
    assert answer.status_code == 409
    assert answer.json()["pipelines"] == [{"id": str(pipeline.pk), "name": "Flights"}]
    assert world.client().delete(f"/api/v1/pipelines/{pipeline.pk}").status_code == 204
    assert world.client().delete(f"{URL}/{connector.pk}").status_code == 204
    assert world.client().get(f"{URL}/{connector.pk}").status_code == 404


def test_every_change_is_audited_without_secrets(world: World) -> None:
    connector = create_connector(world)
    client = world.client()
    path = f"{URL}/{connector['id']}"
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


def test_a_change_removes_the_result_of_the_last_check(world: World) -> None:
    connector = make_connector(world)
    with world.scope():
        services.store_check_result(
            org=world.org, connector_id=connector.pk, version=connector.version, ok=True
        )
    path = f"{URL}/{connector.pk}"
    assert world.client().get(path).json()["check_ok"] is True
    changed = world.client().patch(path, {"config": {"rows": 5}}).json()
    assert (changed["check_ok"], changed["checked_at"]) == (None, None)
    with world.scope():
        services.store_check_result(
            org=world.org, connector_id=connector.pk, version=connector.version, ok=True
        )
    assert world.client().get(path).json()["check_ok"] is None
