"""Rules for the fields of a stream are saved, validated, compared, restored and previewed, with the right permissions."""

from __future__ import annotations

from typing import Any

import pytest

from apps.engine.field_rules import REDACTED
from apps.orgs import vault
from apps.pipelines.definition import Definition
from apps.pipelines.models import Pipeline
from apps.pipelines.specs import engine_specs
from tests.pipelines.test_pipelines import URL, create_pipeline, error_codes
from tests.pipelines.test_previews import (
    _close_supervisor_afterwards as _close_supervisor_afterwards,
)
from tests.pipelines.test_transforms import CONFIG, TRANSFORM
from tests.world import World, make_world

HASH_NAME = {"field": "name", "protect": "hash"}
RULES = {
    "others": "keep",
    "rules": [HASH_NAME, {"field": "amount", "name": "eur", "type": "decimal"}],
}


def config_with_fields(fields: Any, **stream: Any) -> dict[str, Any]:
    return {**CONFIG, "streams": [{"stream": "generated", "fields": fields, **stream}]}


def fields_of(pipeline: dict[str, Any]) -> Any:
    return pipeline["config"]["streams"][0].get("fields")


def preview(world: World, pipeline: dict[str, Any], **body: Any) -> Any:
    answer = world.client().post(f"{URL}/{pipeline['id']}/preview", {"max_records": 1, **body})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_rules_stay_until_they_are_changed_and_are_compared_and_restored(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_fields(RULES))
    assert fields_of(pipeline) == RULES
    path, client = f"{URL}/{pipeline['id']}", world.client()
    other = client.patch(path, {"config": {"streams": [{"sync_mode": "full_refresh"}]}}).json()
    assert (fields_of(other), other["version"]) == (RULES, 1)
    select = {"others": "drop", "rules": [{"field": "id"}]}
    changed = client.patch(path, {"config": {"streams": [{"fields": select}]}}).json()
    assert (fields_of(changed), changed["version"]) == (select, 2)
    changes = client.get(f"{path}/versions/2/diff").json()["changes"]
    assert [change["field"] for change in changes] == [
        "streams.0.fields.others",
        "streams.0.fields.rules",
    ]
    without = client.patch(path, {"config": {"streams": [{"fields": None}]}}).json()
    assert fields_of(without) is None
    assert fields_of(client.post(f"{path}/versions/1/restore").json()) == RULES


def test_settings_that_change_nothing_are_not_stored(world: World) -> None:
    rule = {"field": "id", "name": "id", "drop": False, "type": None, "protect": ""}
    pipeline = create_pipeline(world, config=config_with_fields({"rules": [rule]}))
    assert fields_of(pipeline) == {"others": "keep", "rules": [{"field": "id"}]}
    nothing = create_pipeline(world, name="Other", config=config_with_fields({"rules": []}))
    assert fields_of(nothing) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("text", {"": "type"}),
        ({"others": "maybe"}, {".others": "choice"}),
        ({"rules": {}}, {".rules": "type"}),
        ({"rules": [{"field": "a"}] * 1501}, {".rules": "max_length"}),
        ({"rules": ["a"]}, {".rules.0": "type"}),
        ({"rules": [{}]}, {".rules.0.field": "required"}),
        ({"rules": [{"field": "a" * 201}]}, {".rules.0.field": "invalid"}),
        ({"rules": [{"field": "a", "name": 5}]}, {".rules.0.name": "invalid"}),
        ({"rules": [{"field": "a", "kind": 1}]}, {".rules.0.kind": "unknown"}),
        ({"rules": [{"field": "a", "drop": 1}]}, {".rules.0.drop": "type"}),
        ({"rules": [{"field": "a", "type": "uuid"}]}, {".rules.0.type": "choice"}),
        ({"rules": [{"field": "a", "protect": "mask"}]}, {".rules.0.protect": "choice"}),
        (
            {"rules": [{"field": "a", "type": "date", "protect": "hash"}]},
            {".rules.0.type": "unsupported"},
        ),
        ({"rules": [{"field": "a", "drop": True, "name": "b"}]}, {".rules.0.name": "unsupported"}),
        ({"rules": [{"field": "a"}, {"field": "a"}]}, {".rules.1.field": "duplicate"}),
        (
            {"rules": [{"field": "a", "name": "c"}, {"field": "b", "name": "c"}]},
            {".rules.1.name": "duplicate"},
        ),
        ({"rules": [{"field": "key", "drop": True}]}, {".rules.0.drop": "required"}),
        ({"rules": [{"field": "key", "protect": "redact"}]}, {".rules.0.protect": "unsupported"}),
        ({"others": "drop", "rules": [{"field": "a"}]}, {".others": "required"}),
        ({"rules": [{"field": "at", "protect": "hash"}]}, {".rules.0.protect": "unsupported"}),
    ],
)
def test_an_invalid_rule_is_refused_with_the_path_of_the_field(
    world: World, fields: Any, expected: dict[str, str]
) -> None:
    config = config_with_fields(fields, primary_key=["key"], cursor_field="at")
    expected = {f"streams.0.fields{field}": code for field, code in expected.items()}
    assert error_codes(world.client().post(URL, {"name": "x", "config": config})) == expected
    answer = world.client().post(f"{URL}/validate", {"name": "x", "config": config}).json()
    assert {error["field"] for error in answer["errors"]} == set(expected)


def test_a_preview_shows_the_changed_records_and_no_protected_value(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_fields(RULES))
    saved = preview(world, pipeline)
    (record,) = saved["records"]
    assert record["eur"] == "79.19"
    assert len(record["name"]) == 64
    assert "record-1" not in str(saved)
    redact = {"others": "drop", "rules": [{"field": "name", "protect": "redact"}]}
    assert preview(world, pipeline, fields=redact)["records"] == [{"name": REDACTED}]
    assert preview(world, pipeline, fields=None)["records"][0]["name"] == "record-1"
    invalid: Any = {"fields": {"rules": [{}]}}
    answer = world.client().post(f"{URL}/{pipeline['id']}/preview", invalid)
    assert error_codes(answer) == {"fields.rules.0.field": "required"}


def test_a_transform_in_a_preview_gets_the_changed_records(world: World) -> None:
    only_key = {"others": "drop", "rules": [{"field": "id", "name": "id", "type": "integer"}]}
    config = config_with_fields(only_key, transforms=[TRANSFORM])
    body = {"config": {**config, "destination": None}, "max_records": 1}
    del body["config"]["destination"]  # type: ignore[attr-defined]
    assert world.client().post(f"{URL}/preview", body).json()["records"] == [{"twice": 2}]


def test_equal_values_have_equal_hashes_in_one_organization_only(world: World) -> None:
    stranger = make_world("Other")
    values = [
        preview(each, create_pipeline(each, name=name, config=config_with_fields(RULES)))["records"]
        for each, name in ((world, "One"), (world, "Two"), (stranger, "Three"))
    ]
    assert values[0] == values[1]
    assert values[0][0]["name"] != values[2][0]["name"]


def test_the_secret_of_hashes_is_given_to_runs_that_hash_and_shown_nowhere(world: World) -> None:
    pipeline = create_pipeline(
        world, config=config_with_fields({"rules": [HASH_NAME]}, primary_key=["name"])
    )
    other = create_pipeline(
        world, name="Other", config=config_with_fields({"rules": [{"field": "id"}]})
    )
    with world.scope():
        secret = vault.field_hash_secret(world.org)
        hashing, plain = (
            engine_specs(
                org=world.org,
                pipeline=Pipeline.objects.for_org(world.org).get(pk=each["id"]),
                version=1,
            )[0].fields
            for each in (pipeline, other)
        )
    assert (hashing.hash_secret, plain.hash_secret) == (secret, "")
    shown = world.client().get(f"{URL}/{pipeline['id']}").content.decode()
    assert secret not in shown


def test_the_key_in_the_destination_has_the_new_name(world: World) -> None:
    rename = {"rules": [{"field": "id", "name": "number"}]}
    pipeline = create_pipeline(world, config=config_with_fields(rename, primary_key=["id"]))
    with world.scope():
        row = Pipeline.objects.for_org(world.org).get(pk=pipeline["id"])
        (specs,) = engine_specs(org=world.org, pipeline=row, version=1)
    assert specs.source.primary_key == ("id",)
    assert specs.destination.primary_key == ("number",)


def test_only_members_who_may_edit_change_rules(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_fields(RULES))
    path, change = f"{URL}/{pipeline['id']}", {"config": {"streams": [{"fields": RULES}]}}
    assert world.client().patch(path, change).status_code == 200
    assert world.client("viewer").patch(path, change).status_code == 403
    assert world.client("viewer").post(f"{path}/preview", {"fields": RULES}).status_code == 403
    stranger = make_world("Other").client()
    assert stranger.patch(path, change).status_code == 404
    assert stranger.post(f"{path}/preview", {"fields": RULES}).status_code == 404


def test_a_definition_without_rules_has_none() -> None:
    document: Any = {"streams": [{"stream": "a"}]}
    assert "fields" not in Definition(document).streams[0]
