"""Headers and query parameters of the REST source may carry secrets. They are stored encrypted and never shown again."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from apps.connectors.models import Connector
from apps.orgs.models import AuditEvent
from apps.pipelines.models import PipelineVersion
from tests.connectors.test_connectors import URL, error_codes, stored_settings
from tests.world import World

KEY, TOKEN, PARAM = "Bearer canary-of-a-header", "canary-of-a-stream-8d2k", "canary-of-a-param-5f1m"
CONFIG: dict[str, Any] = {
    "base_url": "https://api.example.com",
    "headers": {"Authorization": KEY, "X-Version": "v1"},
    "params": {"api_key": PARAM, "page_size": 100},
    "streams": [
        {"name": "orders", "path": "/orders", "headers": {"X-Token": "v1"}},
        {"name": "cities", "path": "/cities", "headers": {"X-Token": TOKEN}},
    ],
}


def create(world: World, config: dict[str, Any] = CONFIG) -> dict[str, Any]:
    body = {"name": "Shop", "role": "source", "kind": "rest", "config": config}
    answer = world.client().post(URL, body)
    assert answer.status_code == 201, answer.content
    connector: dict[str, Any] = answer.json()
    return connector


def store_as_before(world: World, pk: str) -> None:
    """Store the settings as the releases did in which headers were not secret."""
    with world.scope():
        Connector.objects.for_org(world.org).filter(pk=pk).update(
            config=CONFIG, sealed="", secret_hints={}
        )


def stored_text(world: World, pk: str) -> str:
    with world.scope():
        return str(Connector.objects.for_org(world.org).filter(pk=pk).values().get())


def test_they_are_shown_as_markers_and_stored_encrypted(world: World) -> None:
    connector = create(world)
    config = connector["config"]
    assert config["headers"]["Authorization"] == {"set": True, "last4": "ader"}
    assert config["headers"]["X-Version"] == {"set": True, "last4": ""}
    assert config["params"] == {"api_key": {"set": True, "last4": "5f1m"}, "page_size": 100}
    assert config["streams"][1]["headers"]["X-Token"]["last4"] == "8d2k"
    for text in (orjson.dumps(connector).decode(), stored_text(world, connector["id"])):
        assert not any(secret in text for secret in (KEY, TOKEN, PARAM))
    assert stored_settings(world, connector["id"]) == CONFIG


def test_they_are_kept_when_other_settings_change(world: World) -> None:
    connector = create(world)
    path = f"{URL}/{connector['id']}"
    assert world.client().patch(path, {"config": {"timeout": 30}}).status_code == 200
    assert stored_settings(world, connector["id"]) == {**CONFIG, "timeout": 30}

    shown = world.client().get(path).json()["config"]
    headers = {**shown["headers"], "X-New": "new"}
    world.client().patch(path, {"config": {"headers": headers}})
    expected = {**CONFIG["headers"], "X-New": "new"}
    assert stored_settings(world, connector["id"])["headers"] == expected

    world.client().patch(path, {"config": {"headers": {"X-Version": None}}})
    assert "X-Version" not in stored_settings(world, connector["id"])["headers"]


def test_a_stream_that_is_moved_keeps_its_headers(world: World) -> None:
    connector = create(world)
    path = f"{URL}/{connector['id']}"
    orders, cities = world.client().get(path).json()["config"]["streams"]
    world.client().patch(path, {"config": {"streams": [cities, orders]}})
    assert stored_settings(world, connector["id"])["streams"] == CONFIG["streams"][::-1]
    _, orders = world.client().get(path).json()["config"]["streams"]
    world.client().patch(path, {"config": {"streams": [orders]}})
    assert stored_settings(world, connector["id"])["streams"] == CONFIG["streams"][:1]


def test_they_are_not_sent_to_another_host(world: World) -> None:
    connector = create(world)
    changes = {"config": {"base_url": "https://attacker.example.com"}}
    codes = error_codes(world.client().patch(f"{URL}/{connector['id']}", changes))
    assert codes["config.headers.Authorization"] == "secret_required"
    assert codes["config.params.api_key"] == "secret_required"


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
def test_they_are_not_sent_to_the_host_of_a_new_header(world: World, header: str) -> None:
    """A proxy that serves many hosts sends the request to the one that the header names."""
    connector = create(world)
    changes = {"config": {"headers": {header: "attacker.example.com"}}}
    answer = world.client().patch(f"{URL}/{connector['id']}", changes)
    assert error_codes(answer)["config.headers.Authorization"] == "secret_required"
    assert f"headers.{header} changed" in answer.json()["errors"][0]["message"]


def test_a_secret_is_not_moved_to_a_stream_that_sends_it_to_another_host(world: World) -> None:
    def stream(name: str, host: str) -> dict[str, Any]:
        secret = f"canary-of-{name}-3k9s"
        address = f"https://{host}/token"
        auth = {"type": "oauth2_client_credentials", "client_id": "drover"}
        return {
            "name": name,
            "auth": {**auth, "access_token_url": address, "client_secret": secret},
        }

    streams = [
        stream("orders", "a.example.com"),
        stream("cities", "b.example.com"),
        stream("prices", "a.example.com"),
    ]
    connector = create(world, {**CONFIG, "streams": streams})
    path = f"{URL}/{connector['id']}"
    orders, cities, prices = connector["config"]["streams"]
    of_orders = orders["auth"]["client_secret"]

    cities["auth"]["client_secret"] = of_orders
    answer = world.client().patch(path, {"config": {"streams": [orders, cities, prices]}})
    assert error_codes(answer) == {"config.streams.1.auth.client_secret": "secret_required"}
    assert "streams.1.auth.access_token_url changed" in answer.json()["errors"][0]["message"]

    cities = stream("cities", "b.example.com")
    prices["auth"]["client_secret"] = of_orders
    answer = world.client().patch(path, {"config": {"streams": [orders, cities, prices]}})
    assert answer.status_code == 200, answer.content
    stored = stored_settings(world, connector["id"])["streams"]
    assert stored[2]["auth"]["client_secret"] == "canary-of-orders-3k9s"


def test_a_secret_is_not_moved_to_a_header_whose_name_is_another_number(world: World) -> None:
    connector = create(world, {**CONFIG, "headers": {"1": KEY, "2": TOKEN}})
    changes = {"config": {"headers": {"2": connector["config"]["headers"]["1"]}}}
    answer = world.client().patch(f"{URL}/{connector['id']}", changes)
    assert error_codes(answer) == {"config.headers.2": "secret_required"}


def test_settings_that_were_stored_before_are_hidden_go_on_working_and_are_then_encrypted(
    world: World,
) -> None:
    connector = create(world)
    store_as_before(world, connector["id"])
    path = f"{URL}/{connector['id']}"
    assert stored_settings(world, connector["id"]) == CONFIG
    assert world.client().get(path).json()["config"] == connector["config"]

    shown = world.client().get(path).json()
    changed = world.client().patch(path, {"config": {**shown["config"], "timeout": 30}})
    assert changed.status_code == 200, changed.content
    assert stored_settings(world, connector["id"]) == {**CONFIG, "timeout": 30}
    assert KEY not in stored_text(world, connector["id"])
    with world.scope():
        texts = str(list(AuditEvent.objects.for_org(world.org).values_list("changes", flat=True)))
    assert not any(secret in texts for secret in (KEY, TOKEN, PARAM))


def test_a_definition_that_was_stored_before_is_hidden_and_goes_on_working(world: World) -> None:
    definition = {
        "source": {"kind": "rest", "config": CONFIG},
        "streams": [{"stream": "orders"}],
        "destination": {"kind": "logger", "config": {}},
    }
    client = world.client()
    pipeline = client.post("/api/v1/pipelines", {"name": "Orders", "config": definition}).json()
    with world.scope():
        version = PipelineVersion.objects.for_org(world.org).get()
        version.definition["source"]["config"] = CONFIG
        version.sealed, version.secret_hints = "", {}
        version.save()
    path = f"/api/v1/pipelines/{pipeline['id']}"
    assert client.get(path).json()["config"] == pipeline["config"]

    changed = client.patch(path, {"config": {"source": {"config": {"timeout": 30}}}})
    assert changed.status_code == 200, changed.content
    diff = client.get(f"{path}/versions/2/diff").json()
    assert [change["field"] for change in diff["changes"]] == ["source.config.timeout"]
    assert not any(secret in str(diff) for secret in (KEY, TOKEN, PARAM))
    assert changed.json()["config"]["source"]["config"]["headers"]["Authorization"]["set"]
