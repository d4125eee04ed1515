"""Transforms in a definition are saved, validated, previewed and audited, with the right permissions."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from apps.connectors import engine
from apps.orgs.models import AuditEvent
from apps.orgs.walls.scope import current_org_id
from tests.pipelines.test_pipelines import URL, create_pipeline, error_codes
from tests.pipelines.test_previews import (
    _close_supervisor_afterwards as _close_supervisor_afterwards,
)
from tests.pipelines.test_previews import stored_files
from tests.world import World, make_world

DOUBLING_CODE = "def transform(record):\n    return {'twice': record['id'] * 2}\n"
TRANSFORM = {"kind": "python", "code": DOUBLING_CODE}
CONFIG = {
    "source": {"kind": "dummy", "config": {"rows": 50}},
    "streams": [{"stream": "generated"}],
    "destination": {"kind": "jsonl", "config": {}},
}


def config_with_transforms(*transforms: Any) -> dict[str, Any]:
    """Return a definition with these transforms, or with TRANSFORM if there are none."""
    return {**CONFIG, "streams": [{"stream": "generated", "transforms": transforms or [TRANSFORM]}]}


def transform_changes(*transforms: Any) -> dict[str, Any]:
    return {"config": {"streams": [{"transforms": transforms}]}}


def without_destination(config: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in config.items() if name != "destination"}


def transforms_of(pipeline: dict[str, Any]) -> Any:
    return pipeline["config"]["streams"][0]["transforms"]


def test_a_transform_is_saved_with_the_pipeline_and_stays_until_it_is_changed(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_transforms())
    assert transforms_of(pipeline) == [TRANSFORM]
    path = f"{URL}/{pipeline['id']}"
    with_transform = (
        world.client().patch(path, {"config": {"source": {"config": {"rows": 9}}}}).json()
    )
    assert transforms_of(with_transform) == [TRANSFORM]
    assert with_transform["version"] == 2
    without_transform = world.client().patch(path, transform_changes()).json()
    assert transforms_of(without_transform) == []
    assert without_transform["version"] == 3
    changes = world.client().get(f"{path}/versions/3/diff").json()["changes"]
    field = "streams.0.transforms"
    assert changes == [{"field": field, "before": [TRANSFORM], "after": [], "secret": False}]
    restored = world.client().post(f"{path}/versions/2/restore").json()
    assert transforms_of(restored) == [TRANSFORM]


def test_a_put_without_transforms_removes_them(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_transforms())
    answer = world.client().put(f"{URL}/{pipeline['id']}", {"name": "x", "config": CONFIG})
    assert answer.status_code == 200, answer.content
    assert transforms_of(answer.json()) == []


def test_the_audit_log_contains_a_hash_of_the_code_and_not_its_text(world: World) -> None:
    create_pipeline(world, config=config_with_transforms())
    with world.scope():
        event = AuditEvent.objects.for_org(world.org).filter(action="pipeline.create").latest("id")
    assert "twice" not in str(event.changes)
    before, (after,) = event.changes["config.streams.0.transforms"]
    assert before is None
    assert len(after["sha256"]) == 64


@pytest.mark.parametrize(
    ("transforms", "expected"),
    [
        ("text", {"transforms": "type"}),
        (["text"], {"transforms.0": "type"}),
        ([{}], {"transforms.0.kind": "choice", "transforms.0.code": "required"}),
        ([{"kind": "sql", "code": "select 1"}], {"transforms.0.kind": "choice"}),
        ([{"kind": "python", "code": 7}], {"transforms.0.code": "required"}),
        ([{"kind": "python", "code": "#" * 100_001}], {"transforms.0.code": "max_length"}),
        ([{**TRANSFORM, "label": "x"}], {"transforms.0.label": "unknown"}),
        ([TRANSFORM, TRANSFORM], {"transforms": "max_length"}),
        ([{"kind": "python", "code": "def f(: pass"}], {"transforms.0.code": "invalid_code"}),
        ([{"kind": "python", "code": "x = 1"}], {"transforms.0.code": "invalid_code"}),
    ],
)
def test_an_invalid_transform_is_rejected_with_the_path_of_the_field(
    world: World, transforms: Any, expected: dict[str, str]
) -> None:
    streams = [{"stream": "generated", "transforms": transforms}]
    body = {"name": "Flights", "config": {**CONFIG, "streams": streams}}
    expected = {f"streams.0.{field}": code for field, code in expected.items()}
    assert error_codes(world.client().post(URL, body)) == expected
    answer = world.client().post(f"{URL}/validate", body).json()
    assert {error["field"] for error in answer["errors"]} == set(expected)


def test_an_error_in_the_code_of_a_transform_names_the_line(world: World) -> None:
    code = "def transform(record):\n    record['a'] = 1\n"
    body = {"name": "x", "config": config_with_transforms({"kind": "python", "code": code})}
    (error,) = world.client().post(URL, body).json()["errors"]
    assert error["message"].startswith("Line 1: transform returns nothing")


def test_a_preview_returns_transformed_records(world: World) -> None:
    body = {"config": without_destination(config_with_transforms()), "max_records": 3}
    answer = world.client().post(f"{URL}/preview", body).json()
    assert answer["ok"], answer
    assert answer["records"] == [{"twice": 2}, {"twice": 4}, {"twice": 6}]
    pipeline = create_pipeline(world, config=config_with_transforms())
    saved_preview = (
        world.client().post(f"{URL}/{pipeline['id']}/preview", {"max_records": 2}).json()
    )
    assert saved_preview["records"] == [{"twice": 2}, {"twice": 4}]
    code = "def transform(record):\n    return {'half': record['id'] / 2}\n"
    body_with_other_transform = {"max_records": 1, "transforms": [{"kind": "python", "code": code}]}
    with_other_transform = (
        world.client().post(f"{URL}/{pipeline['id']}/preview", body_with_other_transform).json()
    )
    assert with_other_transform["records"] == [{"half": 0.5}]
    without_transforms = (
        world.client().post(f"{URL}/{pipeline['id']}/preview", {"transforms": []}).json()
    )
    assert without_transforms["records"][0]["id"] == 1
    body_with_invalid_transform = {"transforms": [{"kind": "python", "code": "x = 1"}]}
    answer = world.client().post(f"{URL}/{pipeline['id']}/preview", body_with_invalid_transform)
    assert error_codes(answer) == {"transforms.0.code": "invalid_code"}
    assert stored_files(world) == []


def test_a_failed_transform_is_reported_with_the_record(world: World) -> None:
    code = "def transform(record):\n    return record['nope']\n"
    config = config_with_transforms({"kind": "python", "code": code})
    body = {"config": without_destination(config)}
    answer = world.client().post(f"{URL}/preview", body).json()
    assert not answer["ok"]
    assert answer["failure"]["failure_class"] == "contract"
    assert "KeyError" in answer["failure"]["message"]
    assert any("with the record" in line for line in answer["failure"]["evidence"])


def test_a_viewer_may_not_preview_transforms_and_a_stranger_gets_404(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_transforms())
    body = {"config": without_destination(config_with_transforms())}
    assert world.client("viewer").post(f"{URL}/preview", body).status_code == 403
    change = transform_changes()
    assert world.client("viewer").patch(f"{URL}/{pipeline['id']}", change).status_code == 403
    stranger = make_world("Other").client()
    assert stranger.patch(f"{URL}/{pipeline['id']}", change).status_code == 404
    assert stranger.post(f"{URL}/{pipeline['id']}/preview", {}).status_code == 404
    assert stranger.post(f"{URL}/{uuid4()}/preview", {}).status_code == 404


def test_no_transaction_is_open_while_a_transform_is_validated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction of an org is open only inside its scope, so no scope means no transaction."""
    scopes: list[Any] = []
    validate_transform = engine.validate_transform

    def record_scope(**arguments: Any) -> Any:
        scopes.append(current_org_id())
        return validate_transform(**arguments)

    monkeypatch.setattr(engine, "validate_transform", record_scope)
    pipeline = create_pipeline(world, config=config_with_transforms())
    other_transform = {"kind": "python", "code": DOUBLING_CODE.replace("* 2", "* 3")}
    path, client = f"{URL}/{pipeline['id']}", world.client()
    body = {"name": "x", "config": config_with_transforms()}
    for answer in (
        client.patch(path, transform_changes(other_transform)),
        client.put(path, body),
        client.post(f"{path}/preview", {"transforms": [other_transform]}),
        client.post(f"{URL}/preview", {"config": config_with_transforms()}),
        client.post(f"{URL}/validate", body),
    ):
        assert answer.status_code == 200, answer.content
    assert scopes == [None] * 6


def arrange_change_during_validation(
    monkeypatch: pytest.MonkeyPatch, world: World, pk: str, changes: dict[str, Any]
) -> None:
    """Let the pipeline be changed by another request while the code of the next request is validated."""
    validate_transform = engine.validate_transform

    def change_and_validate(**arguments: Any) -> Any:
        monkeypatch.setattr(engine, "validate_transform", validate_transform)
        assert world.client().patch(f"{URL}/{pk}", changes).status_code == 200
        return validate_transform(**arguments)

    monkeypatch.setattr(engine, "validate_transform", change_and_validate)


def test_an_update_is_rejected_if_the_pipeline_changed_during_the_validation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = create_pipeline(world, config=CONFIG)
    path, client = f"{URL}/{pipeline['id']}", world.client()
    etag = client.get(path)["ETag"]
    arrange_change_during_validation(monkeypatch, world, pipeline["id"], {"name": "Faster"})
    answer = client.patch(path, transform_changes(TRANSFORM), headers={"If-Match": etag})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    pipeline_now = client.get(path).json()
    assert pipeline_now["name"] == "Faster"
    assert transforms_of(pipeline_now) == []


def test_a_patch_is_merged_with_changes_made_during_the_validation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = create_pipeline(world, config=CONFIG)
    other_changes = {"config": {"source": {"config": {"rows": 9}}}}
    arrange_change_during_validation(monkeypatch, world, pipeline["id"], other_changes)
    path, client = f"{URL}/{pipeline['id']}", world.client()
    answer = client.patch(path, transform_changes(TRANSFORM)).json()
    assert transforms_of(answer) == [TRANSFORM]
    assert answer["config"]["source"]["config"]["rows"] == 9
    assert answer["version"] == 3


def test_two_requests_with_one_idempotency_key_create_one_pipeline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"name": "Flights", "config": config_with_transforms()}
    nested_answers: list[Any] = []
    validate_transform = engine.validate_transform

    def send_request() -> Any:
        return world.client().post(URL, body, headers={"Idempotency-Key": "k"})

    def validate_and_repeat(**arguments: Any) -> Any:
        nested_answers.append(send_request())
        return validate_transform(**arguments)

    monkeypatch.setattr(engine, "validate_transform", validate_and_repeat)
    first_answer, second_answer = send_request(), send_request()
    (nested_answer,) = nested_answers
    assert (nested_answer.status_code, nested_answer.json()["code"]) == (
        409,
        "idempotency_key_in_use",
    )
    assert first_answer.status_code == 201
    assert second_answer.content == first_answer.content
    assert world.client().get(URL).json()["count"] == 1
