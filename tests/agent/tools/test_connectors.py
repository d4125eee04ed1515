"""Tools for connectors: kinds, checks, previews, the form for a new one, and deletion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from apps.agent.tools.describe_connector_kind.tool import without_keywords
from apps.agent.tools.links import connector_label
from apps.connectors import engine
from apps.connectors.models import Connector, CustomSource
from apps.engine import catalogue
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid
from apps.orgs.members import domains
from apps.orgs.principals import SYSTEM
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from tests.agent.tools.use import card, error_code, use
from tests.world import World, make_connector, make_pipeline

SECRET = "hunter2-hunter2"
POSTGRES = {"host": "db.example.com", "database": "shop", "user": "reader"}


@pytest.fixture(scope="module", autouse=True)
def _close_supervisor_afterwards() -> Iterator[None]:
    yield
    engine.supervisor().close()
    engine.supervisor.cache_clear()


def test_kinds_are_found_by_a_part_of_their_name(world: World) -> None:
    answer = use(world, "list_connector_kinds", Role.VIEWER, role="source", search="postgres")

    assert {"postgres"} <= {kind["kind"] for kind in answer.content["kinds"]}
    assert {kind["role"] for kind in answer.content["kinds"]} == {"source"}


def test_a_kind_is_described_with_its_secret_settings(world: World) -> None:
    answer = use(world, "describe_connector_kind", Role.VIEWER, role="source", kind="postgres")

    assert "password" in answer.content["secret_settings"]
    assert answer.content["schema"]["properties"]["password"]["writeOnly"] is True


def test_a_long_schema_keeps_the_names_of_all_settings(world: World) -> None:
    schema = use(world, "describe_connector_kind", role="source", kind="rest").content["schema"]
    kind = catalogue.source("rest")
    assert kind is not None
    whole: dict[str, Any] = dict(kind.config_schema)
    assert "description" not in schema["$defs"]["Stream"]["properties"]["path"]
    assert schema["properties"].keys() == whole["properties"].keys()
    for name, part in whole["$defs"].items():
        assert (
            schema["$defs"][name].get("properties", {}).keys() == part.get("properties", {}).keys()
        )
        assert schema["$defs"][name].get("required") == part.get("required")


def test_a_part_of_a_long_schema_is_described_in_full(world: World) -> None:
    rest: dict[str, Any] = {"role": "source", "kind": "rest"}
    assert "`part`" in use(world, "describe_connector_kind", **rest).content["note"]
    kind = catalogue.source("rest")
    assert kind is not None
    whole: dict[str, Any] = dict(kind.config_schema)
    for part, schema in {**whole["$defs"], **whole["properties"]}.items():
        answer = use(world, "describe_connector_kind", **rest, part=part)
        assert answer.content["schema"] == schema, part


def test_an_unknown_part_is_answered_with_the_names_of_the_parts(world: World) -> None:
    answer = use(world, "describe_connector_kind", role="source", kind="rest", part="Strem")
    assert "Stream" in str(answer.content["error"])
    assert "base_url" in str(answer.content["error"])


def test_settings_may_have_the_names_of_left_out_keywords() -> None:
    schema: JsonObject = {"title": "T", "properties": {"title": {"type": "string", "title": "T"}}}
    assert without_keywords(schema, frozenset({"title"})) == {
        "properties": {"title": {"type": "string"}}
    }


def test_a_listed_connector_says_when_a_run_worked_with_it(world: World) -> None:
    used, unused = make_connector(world), make_connector(world)
    pipeline = make_pipeline(
        world,
        config={
            "source": {"connector_id": str(used.pk)},
            "streams": [{"stream": "creatures"}],
            "destination": {"kind": "jsonl", "config": {}},
        },
    )

    def worked_at() -> dict[str, Any]:
        rows = use(world, "list_connectors", Role.VIEWER).content["connectors"]
        return {row["id"]: row["worked_at"] for row in rows}

    assert worked_at() == {used.pk: None, unused.pk: None}
    now = timezone.now()
    with world.scope():
        Pipeline.objects.for_org(world.org).filter(pk=pipeline.pk).update(last_success_at=now)
    assert worked_at() == {used.pk: now, unused.pk: None}


def test_an_unknown_kind_is_answered_with_a_similar_one(world: World) -> None:
    answer = use(world, "describe_connector_kind", role="source", kind="postgress")

    assert "did you mean postgres?" in str(answer.content)


def test_a_connector_is_checked_only_after_its_card_was_shown(world: World) -> None:
    connector = make_connector(world, name="numbers")
    shown = card(world, "check_connector", connector_id=str(connector.pk))
    assert "stored credentials" in str(shown["facts"])
    assert shown["warnings"] == []
    with world.scope():
        connector.refresh_from_db()
    assert connector.checked_at is None

    assert use(world, "check_connector", connector_id=str(connector.pk)).content["ok"] is True
    with world.scope():
        connector.refresh_from_db()
    assert connector.check_ok is True


def test_a_preview_answers_names_and_types_and_values_only_if_allowed(world: World) -> None:
    pipeline = make_pipeline(world, name="flights")
    shown = card(world, "preview_pipeline", pipeline_id=str(pipeline.pk))
    assert "no values" in str(shown["facts"])

    answer = use(world, "preview_pipeline", pipeline_id=str(pipeline.pk), max_records=7)
    assert answer.content["records_read"] == 7
    assert {"name", "type", "nullable"} == set(answer.content["columns"][0])
    assert "records" not in answer.content
    arguments = {"pipeline_id": str(pipeline.pk), "max_records": 7}
    allowed = use(world, "preview_pipeline", values_allowed=True, **arguments)
    assert len(allowed.content["records"]) == 5


def test_a_connector_that_is_used_is_not_deleted(world: World) -> None:
    connector = make_connector(world, name="numbers")
    config = {
        "source": {"connector_id": str(connector.pk)},
        "streams": [{"stream": "generated"}],
        "destination": {"kind": "logger", "config": {}},
    }
    make_pipeline(world, name="flights", config=config)
    answer = use(world, "delete_connector", connector_id=str(connector.pk))

    assert error_code(answer) == "in_use"
    assert "flights" in answer.summary


def test_a_connector_is_deleted_after_its_card_was_shown(world: World) -> None:
    connector = make_connector(world, name="numbers")
    shown = card(world, "delete_connector", connector_id=str(connector.pk))
    assert shown["title"] == "Delete the connector numbers"
    with world.scope():
        assert Connector.objects.for_org(world.org).filter(pk=connector.pk).exists()

    assert use(world, "delete_connector", connector_id=str(connector.pk)).ok
    with world.scope():
        assert not Connector.objects.for_org(world.org).filter(pk=connector.pk).exists()


def test_the_form_of_a_new_connector_marks_the_secret_settings(world: World) -> None:
    arguments = {"role": "source", "kind": "postgres", "name": "shop", "config": POSTGRES}
    form: Any = card(world, "request_connector", **arguments)["form"]

    assert form["config"] == POSTGRES
    assert "password" in form["secret_settings"]
    assert form["schema"]["properties"]["password"]["writeOnly"] is True


def test_the_form_refuses_secrets_from_the_model_and_does_not_repeat_them(world: World) -> None:
    config = {**POSTGRES, "password": SECRET}

    with pytest.raises(Invalid) as raised:
        card(world, "request_connector", role="source", kind="postgres", config=config)
    assert "config.password" in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("name", ["check_connector", "delete_connector"])
def test_a_viewer_may_neither_check_nor_delete_a_connector(world: World, name: str) -> None:
    connector = make_connector(world)

    assert error_code(use(world, name, Role.VIEWER, connector_id=str(connector.pk))) == (
        "not_allowed"
    )


@pytest.mark.parametrize("name", ["check_connector", "delete_connector"])
def test_a_stranger_finds_no_connector(world: World, stranger: World, name: str) -> None:
    connector = make_connector(world)

    assert error_code(use(stranger, name, connector_id=str(connector.pk))) == "not_found"


def test_a_preview_is_refused_to_viewers_and_not_found_by_strangers(
    world: World, stranger: World
) -> None:
    pipeline_id = str(make_pipeline(world).pk)

    assert (
        error_code(use(world, "preview_pipeline", Role.VIEWER, pipeline_id=pipeline_id))
        == "not_allowed"
    )
    assert error_code(use(stranger, "preview_pipeline", pipeline_id=pipeline_id)) == "not_found"


def test_domains_of_other_orgs_are_not_listed(world: World, stranger: World) -> None:
    with world.scope():
        domains.create(org=world.org, by=SYSTEM, name="Marketing")

    assert [row["name"] for row in use(world, "list_domains").content["domains"]] == ["Marketing"]
    assert use(stranger, "list_domains").content["count"] == 0


def test_custom_sources_are_listed_with_their_approved_version(
    world: World, stranger: World
) -> None:
    with world.scope():
        CustomSource.unscoped.create(org=world.org, name="shop")

    (found,) = use(world, "list_custom_sources", Role.VIEWER).content["custom_sources"]
    assert (found["name"], found["approved_version"]) == ("shop", None)
    assert use(stranger, "list_custom_sources").content == {"count": 0, "custom_sources": []}


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("every 6 hours", "Every 6 hours"),
        ("weekdays at 7:30 in Berlin", "Weekdays at 07:30 (Europe/Berlin)"),
        ("0 6 * * *", "Daily at 06:00 (UTC)"),
    ],
)
def test_a_schedule_in_english_has_next_times(world: World, schedule: str, words: str) -> None:
    answer = use(world, "next_times", Role.VIEWER, schedule=schedule)

    assert answer.content["in_words"] == words
    assert len(answer.content["times"]) == 3


def test_the_time_zone_of_a_schedule_without_a_place_can_be_given(world: World) -> None:
    for schedule in ("daily at 6", "every 3 hours"):
        wrong = use(world, "next_times", schedule=schedule, timezone="Mars/Olympus")
        assert [error["field"] for error in wrong.content["error"]["fields"]] == ["timezone"]
    answer = use(world, "next_times", schedule="daily at 6", timezone="Europe/Paris")

    assert answer.content["schedule"] == {"cron": "0 6 * * *", "timezone": "Europe/Paris"}


def test_words_that_are_no_schedule_are_answered_with_examples(world: World) -> None:
    answer = use(world, "next_times", schedule="whenever the moon is full")

    assert error_code(answer) == "invalid"
    assert "every 6 hours" in answer.summary


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("postgres", "Shop (postgres)"),
        ("custom-01a224dc-71a7-73fc-a417-ade759522c1d", "Shop (custom source)"),
    ],
)
def test_cards_name_the_kind_of_a_connector_without_an_id(kind: str, label: str) -> None:
    assert connector_label(Connector(name="Shop", kind=kind)) == label
