"""Definitions with patterns and naming rules: validation, changes, versions, and what the patterns choose."""

from __future__ import annotations

from typing import Any

import pytest

from apps.connectors.checks import discoveries
from apps.engine.answers import Stream
from apps.orgs.models import AuditEvent
from apps.pipelines.definition import matches, table_of
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import known_documents
from apps.pipelines.models import Pipeline
from tests.world import World, make_connector, make_world

URL = "/api/v1/pipelines"
SETTINGS = {"host": "db.example.com", "database": "d", "user": "u", "password": "p"}


def listed(
    *names: str, primary_key: str = "id", cursors: tuple[str, ...] = ("id",)
) -> list[Stream]:
    modes = ["full_refresh", "incremental"] if cursors else ["full_refresh"]
    return [
        {
            "name": name,
            "fields": [],
            "primary_key": [primary_key] if primary_key else [],
            "cursor_fields": list(cursors),
            "sync_modes": modes,
        }
        for name in names
    ]


class Database:
    """A saved source of the kind postgres whose streams are known, and a destination in another database."""

    def __init__(self, world: World, *streams: Stream) -> None:
        self.world = world
        self.source = make_connector(world, kind="postgres", config=SETTINGS)
        self.destination = make_connector(
            world, role="destination", kind="postgres", config={**SETTINGS, "database": "other"}
        )
        self.list(*streams)

    def list(self, *streams: Stream) -> None:
        with self.world.scope():
            discoveries.store(self.world.org, self.source, streams, code_version=None)

    def config(self, *match: str, **parts: Any) -> dict[str, Any]:
        patterns = {"match": list(match), **parts.pop("defaults", {})}
        return {
            "source": {"connector_id": str(self.source.pk)},
            "patterns": patterns,
            "destination": {"connector_id": str(self.destination.pk)},
            **parts,
        }

    def create(self, *match: str, name: str = "All", **parts: Any) -> Any:
        return self.world.client().post(URL, {"name": name, "config": self.config(*match, **parts)})


def errors_of(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.content
    return [(error["field"], error["code"]) for error in answer.json()["errors"]]


def streams_of(world: World, created: Any, **query: Any) -> dict[str, tuple[str, str]]:
    """Return {name: (state, table)} of the streams of the pipeline."""
    answer = world.client("viewer").get(f"{URL}/{created.json()['id']}/streams", query)
    assert answer.status_code == 200, answer.content
    return {row["stream"]: (row["state"], row["table"]) for row in answer.json()["results"]}


@pytest.mark.parametrize(
    ("patterns", "stream", "is_chosen"),
    [
        (["*"], "orders", True),
        (["public.*"], "orders", True),
        (["public.*"], "public.orders", True),
        (["public.*"], "sales.orders", False),
        (["orders"], "orders", False),
        (["*.orders"], "sales.orders", True),
        (["sales.order?"], "sales.orders", True),
        (["*", "!*_tmp"], "orders_tmp", False),
        (["!*_tmp", "*"], "orders_tmp", False),
        (["*", "!*_tmp"], "orders", True),
        (["sales.[o]rders"], "sales.orders", False),
        (["SALES.*"], "sales.orders", False),
    ],
)
def test_a_pattern_includes_or_excludes_full_names_in_any_order(
    patterns: list[str], stream: str, is_chosen: bool
) -> None:
    assert matches(patterns, "postgres", stream) is is_chosen


def test_a_pattern_with_many_stars_is_quick() -> None:
    assert not matches(["*a" * 60 + "*"], "postgres", "a" * 59 + "b" * 140)


@pytest.mark.parametrize(
    ("naming", "stream", "table"),
    [
        ("{schema}_{table}", "sales.orders", "sales_orders"),
        ("{schema}_{table}", "orders", "public_orders"),
        ("raw_{table}", "sales.orders", "raw_orders"),
        ("raw.{schema}_{table}", "sales.orders", "raw.sales_orders"),
        ("{schema}.{table}", "sales.orders", "sales.orders"),
        (None, "sales.orders", "sales_orders"),
        (None, "orders", "orders"),
    ],
)
def test_the_naming_rule_makes_the_names_of_tables(
    naming: str | None, stream: str, table: str
) -> None:
    assert table_of("postgres", stream, naming) == table


def test_names_without_a_schema_leave_its_separator_out() -> None:
    assert table_of("rest", "orders", "{schema}_{table}") == "orders"
    assert table_of("rest", "orders", "raw.{schema}_{table}") == "raw.orders"
    assert table_of("rest", "orders", "{table}_{schema}") == "orders"
    reserved = table_of("rest", "drover_jobs", "raw._{table}")
    assert reserved.startswith("raw.drover_jobs_"), "the names of Drover's own tables are reserved"


def test_names_that_had_to_be_changed_do_not_collide() -> None:
    tables = {
        table_of("rest", stream, "raw.{table}") for stream in ("a b", "a/b", "a.b", "1", "é" * 90)
    }
    assert len(tables) == 5
    assert all(table.startswith("raw.") for table in tables)


@pytest.mark.parametrize(
    "naming", ["orders", "{schema}", "{table}{x}", "a.b.{table}", "{table};", 5]
)
def test_an_invalid_naming_rule_is_refused(world: World, naming: Any) -> None:
    assert errors_of(Database(world).create("*", naming=naming)) == [("naming", "invalid")]


@pytest.mark.parametrize(
    ("patterns", "field"),
    [
        ({"match": []}, "patterns.match"),
        ({}, "patterns.match"),
        ({"match": ["!x"]}, "patterns.match"),
        ({"match": ["*", "!"]}, "patterns.match.1"),
        ({"match": "*"}, "patterns.match"),
        ({"match": ["*"], "sync_mode": "sometimes"}, "patterns.sync_mode"),
        ({"match": ["*"], "sync_mode": "incremental"}, "patterns.cursor_field"),
        ({"match": ["*"], "max_rejected_share": 2}, "patterns.max_rejected_share"),
        ({"match": ["*"], "table": "x"}, "patterns.table"),
        (["*"], "patterns"),
    ],
)
def test_invalid_patterns_are_refused_at_their_field(
    world: World, patterns: Any, field: str
) -> None:
    config = {**Database(world).config("*"), "patterns": patterns}
    answer = world.client().post(URL, {"name": "All", "config": config})
    assert [name for name, _ in errors_of(answer)] == [field]


def test_new_streams_need_patterns(world: World) -> None:
    database = Database(world)
    config = {**database.config("*"), "streams": [{"stream": "orders"}], "new_streams": "ask"}
    del config["patterns"]
    answer = world.client().post(URL, {"name": "All", "config": config})
    assert errors_of(answer) == [("new_streams", "unsupported")]
    assert errors_of(database.create("*", new_streams="maybe")) == [("new_streams", "choice")]


def test_a_pipeline_needs_streams_or_patterns(world: World) -> None:
    config = Database(world).config("*")
    del config["patterns"]
    answer = world.client().post(URL, {"name": "All", "config": config})
    assert errors_of(answer) == [("streams", "required")]


def test_a_pipeline_with_patterns_knows_its_streams_from_the_stored_list(world: World) -> None:
    database = Database(world, *listed("orders", "sales.items", "sales.items_tmp"))
    created = database.create("*", "!*_tmp")
    assert created.status_code == 201, created.content
    assert created.json()["config"]["streams"] == []
    assert created.json()["config"]["patterns"]["match"] == ["*", "!*_tmp"]
    assert (created.json()["stream"], created.json()["stream_count"]) == ("*, !*_tmp", 2)
    assert streams_of(world, created) == {
        "orders": ("included", "orders"),
        "sales.items": ("included", "sales_items"),
    }


def test_a_named_stream_keeps_its_own_settings(world: World) -> None:
    database = Database(world, *listed("orders", "items"))
    created = database.create("*", streams=[{"stream": "public.orders", "table": "mine"}])
    assert streams_of(world, created) == {
        "public.orders": ("included", "mine"),
        "items": ("included", "items"),
    }


def test_the_defaults_of_patterns_apply_as_far_as_a_stream_allows(world: World) -> None:
    database = Database(
        world,
        *listed("keyed", cursors=("updated_at",)),
        *listed("plain", primary_key="", cursors=("updated_at",)),
        *listed("fixed", cursors=()),
    )
    defaults = {"sync_mode": "incremental", "cursor_field": "updated_at", "write_mode": "merge"}
    created = database.create("*", defaults=defaults)
    rows = world.client().get(f"{URL}/{created.json()['id']}/streams").json()["results"]
    assert {row["stream"]: (row["sync_mode"], row["write_mode"]) for row in rows} == {
        "keyed": ("incremental", "merge"),
        "plain": ("full_refresh", "replace"),  # without a key nothing tells which row to replace
        "fixed": ("full_refresh", "replace"),
    }


def test_the_contract_of_patterns_is_that_of_each_stream(world: World) -> None:
    database = Database(world, *listed("orders"))
    created = database.create("*", defaults={"contract": "freeze"})
    with world.scope():
        pipeline = Pipeline.objects.for_org(world.org).get(pk=created.json()["id"])
        definition = versions.current_definition(world.org, pipeline)
        (stream,) = known_documents(world.org, pipeline, definition)
    assert stream["contract"] == "freeze"
    wrong = database.create("*", name="Other", defaults={"contract": "maybe"})
    assert errors_of(wrong) == [("patterns.contract", "choice")]


CODE = "def transform(record): return record"
DEFAULTS: dict[str, Any] = {
    "fields": {"others": "keep", "rules": [{"field": "mail", "protect": "hash"}]},
    "transforms": [{"kind": "python", "code": CODE}],
}


def documents_of(world: World, created: Any) -> dict[str, Any]:
    assert created.status_code == 201, created.content
    with world.scope():
        pipeline = Pipeline.objects.for_org(world.org).get(pk=created.json()["id"])
        definition = versions.current_definition(world.org, pipeline)
        documents = known_documents(world.org, pipeline, definition)
    return {document["stream"]: document for document in documents}


def test_the_fields_and_the_transform_of_patterns_are_those_of_each_stream(world: World) -> None:
    database = Database(world, *listed("orders", "items"))
    created = database.create("*", defaults=DEFAULTS)
    assert created.json()["config"]["patterns"]["fields"] == DEFAULTS["fields"]
    documents = documents_of(world, created)
    assert {
        name: {part: stream[part] for part in DEFAULTS} for name, stream in documents.items()
    } == {
        "orders": DEFAULTS,
        "items": DEFAULTS,
    }
    url = f"{URL}/{created.json()['id']}"
    config: Any = {"patterns": {"fields": None, "transforms": []}}
    changed = world.client().patch(url, {"config": config}).json()["config"]["patterns"]
    assert not DEFAULTS.keys() & changed.keys()
    diff = world.client().get(f"{url}/versions/2/diff").json()["changes"]
    assert [row["field"] for row in diff] == [
        "patterns.fields.others",
        "patterns.fields.rules",
        "patterns.transforms",
    ]


@pytest.mark.parametrize(
    ("defaults", "field"),
    [
        ({"fields": {"rules": [{"field": ""}]}}, "patterns.fields.rules.0.field"),
        (
            {
                "sync_mode": "incremental",
                "cursor_field": "id",
                "fields": {"rules": [{"field": "id", "protect": "hash"}]},
            },
            "patterns.fields.rules.0.protect",
        ),
        (
            {"transforms": [{"kind": "python", "code": "def transform(:"}]},
            "patterns.transforms.0.code",
        ),
        ({"transforms": [{"kind": "sql", "code": "x"}]}, "patterns.transforms.0.kind"),
    ],
)
def test_wrong_fields_and_transforms_of_patterns_are_refused(
    world: World, defaults: dict[str, Any], field: str
) -> None:
    answer = Database(world, *listed("orders")).create("*", defaults=defaults)
    assert [name for name, _ in errors_of(answer)] == [field]


@pytest.mark.parametrize(
    ("fields", "has_key"),
    [
        ({"rules": [{"field": "id", "drop": True}]}, False),
        ({"rules": [{"field": "id", "protect": "redact"}]}, False),
        ({"others": "drop", "rules": [{"field": "name"}]}, False),
        ({"others": "drop", "rules": [{"field": "id", "name": "key"}]}, True),
        ({"rules": [{"field": "id", "protect": "hash"}]}, True),
    ],
)
def test_a_stream_whose_key_does_not_arrive_is_replaced(
    world: World, fields: dict[str, Any], has_key: bool
) -> None:
    """Its key must not be sent for the sake of merging."""
    database = Database(world, *listed("orders", cursors=("at",)))
    defaults = {"sync_mode": "incremental", "cursor_field": "at", "write_mode": "merge"}
    created = database.create("*", defaults={**defaults, "fields": fields})
    (stream,) = documents_of(world, created).values()
    expected = (["id"], "merge") if has_key else ([], "replace")
    assert (stream["primary_key"], stream["write_mode"]) == expected


def test_the_audit_log_has_the_digest_of_the_code_of_patterns(world: World) -> None:
    Database(world, *listed("orders")).create("*", defaults=DEFAULTS)
    with world.scope():
        event = AuditEvent.objects.for_org(world.org).filter(action="pipeline.create").latest("id")
    assert CODE not in str(event.changes)
    before, (after,) = event.changes["config.patterns.transforms"]
    assert (before, len(after["sha256"])) == (None, 64)


def test_streams_that_would_write_one_table_are_refused(world: World) -> None:
    database = Database(world, *listed("sales.orders", "hr.orders"))
    answer = database.create("*", naming="{table}")
    assert errors_of(answer) == [("naming", "taken")]
    message = answer.json()["errors"][0]["message"]
    assert "sales.orders and hr.orders" in message
    assert database.create("*", naming="{schema}_{table}").status_code == 201


def test_a_table_of_another_pipeline_is_refused_with_its_stream(world: World) -> None:
    database = Database(world, *listed("orders", "items"))
    assert database.create("*", name="First").status_code == 201
    answer = database.create("public.items", name="Second")
    assert errors_of(answer) == [("patterns.match", "taken")]
    message = answer.json()["errors"][0]["message"]
    assert "“First”" in message
    assert "stream items" in message


def test_a_copy_gets_a_naming_rule_with_unused_tables(world: World) -> None:
    created = Database(world, *listed("orders", "items")).create("*")
    url = f"{URL}/{created.json()['id']}/duplicate"
    first, second = (world.client().post(url, {"name": name}) for name in ("One", "Two"))
    assert streams_of(world, first) == {
        "items": ("included", "copy_public_items"),
        "orders": ("included", "copy_public_orders"),
    }
    assert streams_of(world, second)["items"] == ("included", "copy_2_public_items")


def test_a_patch_changes_one_default_and_null_removes_the_patterns(world: World) -> None:
    database = Database(world, *listed("orders", "items"))
    created = database.create("*", new_streams="ask", naming="x_{table}")
    url = f"{URL}/{created.json()['id']}"
    changed = world.client().patch(url, {"config": {"patterns": {"match": ["*", "!items"]}}})
    assert changed.json()["config"]["patterns"]["match"] == ["*", "!items"]
    config: dict[str, Any] = {"patterns": {"max_rejected_share": 0.5}}
    changed = world.client().patch(url, {"config": config}).json()["config"]
    assert (changed["patterns"]["match"], changed["new_streams"]) == (["*", "!items"], "ask")
    config = {"patterns": None, "naming": None, "streams": [{"stream": "orders"}]}
    changed = world.client().patch(url, {"config": config})
    assert changed.status_code == 200, changed.content
    assert not {"patterns", "naming", "new_streams"} & changed.json()["config"].keys()
    assert list(streams_of(world, changed)) == ["orders"]


def test_versions_compare_and_restore_patterns(world: World) -> None:
    database = Database(world, *listed("orders", "sales.items"))
    created = database.create("*")
    url = f"{URL}/{created.json()['id']}"
    world.client().patch(url, {"config": {"patterns": {"match": ["sales.*"]}, "naming": "{table}"}})
    assert streams_of(world, created) == {"sales.items": ("included", "items")}
    diff = world.client("viewer").get(f"{url}/versions/2/diff").json()["changes"]
    assert [(row["field"], row["before"], row["after"]) for row in diff] == [
        ("naming", None, "{table}"),
        ("patterns.match", ["*"], ["sales.*"]),
    ]
    restored = world.client().post(f"{url}/versions/1/restore")
    assert restored.json()["config"] == created.json()["config"]
    assert len(streams_of(world, created)) == 2


def test_the_match_of_an_unsaved_definition_is_shown(world: World) -> None:
    database = Database(world, *listed("orders", "sales.items", "sales.items_tmp"))
    config = database.config("sales.*", "!*_tmp", naming="raw.{table}")
    del config["destination"]
    answer = world.client().post(f"{URL}/match", {"config": config}).json()
    assert (answer["ok"], answer["total"]) == (True, 3)
    assert [(row["stream"], row["table"]) for row in answer["streams"]] == [
        ("sales.items", "raw.items")
    ]
    assert world.client("viewer").post(f"{URL}/match", {"config": config}).status_code == 403
    stranger = make_world("Other").client().post(f"{URL}/match", {"config": config})
    assert errors_of(stranger) == [("source.connector_id", "unknown")]


@pytest.fixture
def asking(world: World) -> tuple[World, str]:
    """A pipeline with a stream that waits, because it was not there when the patterns were matched first."""
    database = Database(world, *listed("orders"))
    created = database.create("*", new_streams="ask")
    database.list(*listed("orders", "fresh"))
    url = f"{URL}/{created.json()['id']}"
    world.client().patch(url, {"config": {"patterns": {"max_rejected_share": 0.1}}})
    return world, url


def test_a_new_stream_that_waits_can_be_added_or_ignored(asking: tuple[World, str]) -> None:
    world, url = asking
    client = world.client()
    for decision, state, count in (("ignore", "ignored", 1), ("add", "included", 2)):
        body = {"decision": decision, "streams": ["fresh"]}
        answer = client.post(f"{url}/streams/decide", body)
        assert (answer.status_code, answer.json()["stream_count"]) == (200, count)
        states = client.get(f"{url}/streams", {"state": state}).json()["results"]
        assert "fresh" in {row["stream"] for row in states}
    audit = world.client("admin").get("/api/v1/org/audit", {"action": "pipeline.streams"}).json()
    assert [row["changes"] for row in audit["results"]] == [
        {"streams.fresh": ["ignored", "included"]},
        {"streams.fresh": ["waiting", "ignored"]},
    ]
    unknown = client.post(f"{url}/streams/decide", {"decision": "add", "streams": ["nothing"]})
    assert errors_of(unknown) == [("streams.0", "unknown")]


def test_only_who_may_edit_decides_about_new_streams(asking: tuple[World, str]) -> None:
    world, url = asking
    body = {"decision": "add", "streams": ["fresh"]}
    assert world.client("viewer").post(f"{url}/streams/decide", body).status_code == 403
    stranger = make_world("Other").client("owner")
    assert stranger.post(f"{url}/streams/decide", body).status_code == 404
    assert stranger.get(f"{url}/streams").status_code == 404


def test_the_tables_that_the_pipeline_writes_are_not_read(world: World) -> None:
    database = Database(world, *listed("orders", "copies.orders", "copies.items"))
    same = make_connector(world, role="destination", kind="postgres", config=SETTINGS)
    database.destination = same
    created = database.create("*", naming="copies.{table}")
    assert streams_of(world, created) == {"orders": ("included", "copies.orders")}


def test_an_org_stores_the_list_of_a_source_until_its_settings_change(world: World) -> None:
    database = Database(world, *listed("orders"))
    url = f"/api/v1/connectors/{database.source.pk}"
    first = world.client("viewer").get(f"{url}/streams").json()
    assert [stream["name"] for stream in first["streams"]] == ["orders"]
    assert first["found_at"] is not None
    world.client().patch(url, {"config": {"port": 1, "password": "p"}})
    assert world.client().get(f"{url}/streams").json()["ok"] is False
