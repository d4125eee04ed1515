"""A definition is compared with what its saved source has listed: streams, cursor fields, keys, and the names of fields."""

from __future__ import annotations

from typing import Any

import pytest

from apps.connectors.checks import discoveries
from apps.engine.answers import Stream
from tests.pipelines.test_pipelines import URL, error_codes
from tests.world import World, make_connector

SETTINGS = {"host": "db.example.com", "database": "shop", "user": "drover", "password": "x"}
API = {
    "base_url": "https://api.example.com",
    "streams": [
        {"name": "orders", "path": "/orders", "cursor_field": "changed", "cursor_param": "since"}
    ],
}
ORDERS = {"id": "integer", "note": "string", "updated": "timestamp"}


def listed(name: str, fields: dict[str, str] | None = None) -> Stream:
    return {
        "name": name,
        "fields": [
            {"name": field, "type": type_, "nullable": True}
            for field, type_ in (ORDERS if fields is None else fields).items()
        ],
        "primary_key": ["id"],
        "cursor_fields": ["updated"],
        "sync_modes": ["full_refresh", "incremental"],
    }


class Shop:
    """A saved source, of which `streams` are known."""

    def __init__(self, world: World, *streams: Stream, kind: str = "postgres") -> None:
        self.world = world
        config = SETTINGS if kind == "postgres" else API
        self.source = make_connector(world, kind=kind, config=config)
        if streams:
            self.list(*streams)

    def list(self, *streams: Stream) -> None:
        with self.world.scope():
            discoveries.store(self.world.org, self.source, streams, code_version=None)

    def config(self, *streams: dict[str, Any]) -> dict[str, Any]:
        return {
            "source": {"connector_id": str(self.source.pk)},
            "streams": list(streams),
            "destination": {"kind": "duckdb", "config": {}},
        }

    def create(self, *streams: dict[str, Any]) -> Any:
        return self.world.client().post(URL, {"name": "Orders", "config": self.config(*streams)})

    def validate(self, *streams: dict[str, Any]) -> Any:
        body = {"name": "Orders", "config": self.config(*streams)}
        return self.world.client().post(f"{URL}/validate", body).json()


def rename(field: str, name: str) -> dict[str, Any]:
    return {"rules": [{"field": field, "name": name}]}


INCREMENTAL = {"stream": "orders", "sync_mode": "incremental", "write_mode": "append"}
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a stream": ({"stream": "oders"}, "stream", "did you mean orders?"),
    "a cursor field": ({**INCREMENTAL, "cursor_field": "updted"}, "cursor_field", "did you mean updated?"),
    "a primary key": ({"stream": "orders", "primary_key": ["id", "zzz"]}, "primary_key", "it has id, note, updated."),
    "a name": ({"stream": "orders", "fields": rename("note", "id")}, "fields.rules.0.name", "another field id"),
}  # fmt: skip
FITTING: dict[str, dict[str, Any]] = {
    "all names": {**INCREMENTAL, "cursor_field": "updated", "primary_key": ["id"]},
    "a schema that is left out": {"stream": "public.orders"},
    "a key that a transform may add": {
        "stream": "orders",
        "primary_key": ["made"],
        "transforms": [{"kind": "python", "code": "def transform(r):\n    return r\n"}],
    },
    "a name of a dropped field": {
        "stream": "orders",
        "fields": {"rules": [{"field": "id", "drop": True}, {"field": "note", "name": "id"}]},
    },
    "a name of a renamed field": {
        "stream": "orders",
        "fields": {"rules": [{"field": "id", "name": "number"}, {"field": "note", "name": "id"}]},
    },
    "a name while others are dropped": {
        "stream": "orders",
        "fields": {"others": "drop", "rules": [{"field": "note", "name": "id"}]},
    },
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_the_source_does_not_have_is_refused_and_named(world: World, wrong: str) -> None:
    stream, field, text = WRONG[wrong]
    shop = Shop(world, listed("orders"))
    answer = shop.create(stream)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"]) == (422, f"streams.0.{field}")
    assert text in error["message"]
    assert shop.validate(stream) == {"valid": False, "errors": [error], "unchecked": []}


@pytest.mark.parametrize("fitting", FITTING)
def test_what_the_source_has_is_accepted(world: World, fitting: str) -> None:
    shop = Shop(world, listed("orders"))
    assert shop.validate(FITTING[fitting]) == {"valid": True, "errors": [], "unchecked": []}
    answer = shop.create(FITTING[fitting])
    assert answer.status_code == 201, answer.content


def test_the_names_of_a_source_are_listed_in_a_few_short_errors(world: World) -> None:
    fields = {f"{number}{'f' * 10_000}": "string" for number in range(20)}
    names = [f"{number}{'n' * 10_000}" for number in range(20)]
    shop = Shop(world, *(listed(name, fields) for name in ("orders", *names)))
    wrong = [{"stream": f"wrong {number}"} for number in range(200)]
    key = {"stream": "orders", "primary_key": [f"wrong {number}" for number in range(20)]}
    errors = shop.validate(key, *wrong)["errors"]
    assert len(errors) == 50
    assert sum("it has" in error["message"] for error in errors) == 5
    assert max(len(error["message"]) for error in errors) < 3_000


def test_the_names_of_inline_streams_are_listed_in_a_few_short_errors(world: World) -> None:
    streams = [{"name": f"{number}{'n' * 10_000}", "path": "/"} for number in range(20)]
    source = {"kind": "rest", "config": {"base_url": "https://api.example.com", "streams": streams}}
    config = {
        "source": source,
        "streams": [{"stream": f"wrong {number}"} for number in range(200)],
        "destination": {"kind": "duckdb", "config": {}},
    }
    answer = world.client().post(f"{URL}/validate", {"name": "x", "config": config})
    assert len(answer.content) < 100_000


def test_validation_says_that_an_unknown_source_is_not_compared(world: World) -> None:
    shop = Shop(world)
    answer = shop.validate({**INCREMENTAL, "cursor_field": "anything"})
    assert (answer["valid"], [part["field"] for part in answer["unchecked"]]) == (True, ["streams"])
    assert "has not listed its streams" in answer["unchecked"][0]["message"]
    inline = {"source": {"kind": "dummy", "config": {}}, "streams": [{"stream": "generated"}]}
    body = {"name": "x", "config": {**inline, "destination": {"kind": "duckdb", "config": {}}}}
    answer = world.client().post(f"{URL}/validate", body).json()
    assert [part["field"] for part in answer["unchecked"]] == ["streams"]


def test_fields_that_were_found_in_first_records_only_are_not_missing(world: World) -> None:
    shop = Shop(world, listed("orders"), kind="rest")
    stream = {**INCREMENTAL, "cursor_field": "changed", "primary_key": ["id", "part"]}
    answer = shop.validate(stream)
    assert answer["valid"], answer
    assert [part["field"] for part in answer["unchecked"]] == [
        "streams.0.cursor_field",
        "streams.0.primary_key",
    ]
    renamed = shop.validate({"stream": "orders", "fields": rename("note", "id")})
    assert [error["field"] for error in renamed["errors"]] == ["streams.0.fields.rules.0.name"]


def test_a_saved_definition_says_what_was_not_compared(world: World) -> None:
    shop = Shop(world, listed("orders"), kind="rest")
    client, path = world.client(), f"{URL}/{shop.create(INCREMENTAL).json()['id']}"
    changed = client.patch(path, {"config": shop.config({**INCREMENTAL, "cursor_field": "seen"})})
    assert changed.status_code == 200, changed.content
    expected = shop.validate({**INCREMENTAL, "cursor_field": "seen"})["unchecked"]
    assert changed.json()["unchecked"] == expected
    assert "The first records of orders have no field seen" in expected[0]["message"]

    other = {"name": "Other", "config": shop.config({**INCREMENTAL, "cursor_field": "seen"})}
    assert client.put(path, other).json()["unchecked"] == expected
    assert client.patch(path, {"name": "Orders again"}).json()["unchecked"] == []
    fitting = {"name": "Other", "config": shop.config({"stream": "orders"})}
    assert client.put(path, fitting).json()["unchecked"] == []


def test_a_stream_that_is_gone_does_not_prevent_other_changes(world: World) -> None:
    shop = Shop(world, listed("orders"), listed("visits"))
    incremental = {**INCREMENTAL, "cursor_field": "updated"}
    created = shop.create(incremental, {"stream": "visits"}).json()
    shop.list(listed("orders", {"id": "integer"}))
    client, path = world.client(), f"{URL}/{created['id']}"
    table = {**incremental, "table": "other"}
    change = {"config": {"streams": [table, {"stream": "visits"}]}}
    assert client.patch(path, change).status_code == 200
    answer = client.patch(path, {"config": {"streams": [{**table, "primary_key": ["note"]}]}})
    assert error_codes(answer) == {"streams.0.primary_key": "unknown"}
    assert client.post(f"{path}/versions/1/restore").status_code == 200
    assert client.post(f"{path}/duplicate", {"name": "Copy"}).status_code == 201
