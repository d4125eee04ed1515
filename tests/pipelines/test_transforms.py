"""Transforms in a pipeline's definition: save, keep, show, refuse with the path, preview; permissions."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from apps.connectors import engine
from apps.orgs.models import AuditEvent
from apps.orgs.walls.scope import current_org_id
from tests.pipelines.test_pipelines import URL, create, fields
from tests.pipelines.test_previews import _supervisor as _supervisor
from tests.pipelines.test_previews import stored_files
from tests.world import World, make_world

DOUBLE = "def transform(record):\n    return {'twice': record['id'] * 2}\n"
PYTHON = {"kind": "python", "code": DOUBLE}
CONFIG = {
    "source": {"kind": "dummy", "config": {"rows": 50}},
    "streams": [{"stream": "generated"}],
    "destination": {"kind": "jsonl", "config": {}},
}


def transformed(*transforms: Any) -> dict[str, Any]:
    """A definition with these transforms, or with one that doubles a value."""
    return {**CONFIG, "streams": [{"stream": "generated", "transforms": transforms or [PYTHON]}]}


def change_to(*transforms: Any) -> dict[str, Any]:
    return {"config": {"streams": [{"transforms": transforms}]}}


def without_destination(config: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in config.items() if name != "destination"}


def transforms_of(shown: dict[str, Any]) -> Any:
    return shown["config"]["streams"][0]["transforms"]


def test_a_transform_is_saved_with_the_pipeline_and_kept_until_it_is_changed(world: World) -> None:
    made = create(world, config=transformed())
    assert transforms_of(made) == [PYTHON]
    one = f"{URL}/{made['id']}"
    kept = world.client().patch(one, {"config": {"source": {"config": {"rows": 9}}}}).json()
    assert transforms_of(kept) == [PYTHON]
    assert kept["version"] == 2
    gone = world.client().patch(one, change_to()).json()
    assert transforms_of(gone) == []
    assert gone["version"] == 3
    changes = world.client().get(f"{one}/versions/3/diff").json()["changes"]
    field = "streams.0.transforms"
    assert changes == [{"field": field, "before": [PYTHON], "after": [], "secret": False}]
    restored = world.client().post(f"{one}/versions/2/restore").json()
    assert transforms_of(restored) == [PYTHON]


def test_a_definition_put_without_transforms_has_none(world: World) -> None:
    made = create(world, config=transformed())
    answer = world.client().put(f"{URL}/{made['id']}", {"name": "x", "config": CONFIG})
    assert answer.status_code == 200, answer.content
    assert transforms_of(answer.json()) == []


def test_the_audit_log_identifies_the_code_without_its_text(world: World) -> None:
    create(world, config=transformed())
    with world.scope():
        event = AuditEvent.objects.for_org(world.org).filter(action="pipeline.create").latest("id")
    assert "twice" not in str(event.changes)
    before, (after,) = event.changes["config.streams.0.transforms"]
    assert before is None
    assert len(after["sha256"]) == 64


@pytest.mark.parametrize(
    ("transforms", "wrong"),
    [
        ("text", {"transforms": "type"}),
        (["text"], {"transforms.0": "type"}),
        ([{}], {"transforms.0.kind": "choice", "transforms.0.code": "required"}),
        ([{"kind": "sql", "code": "select 1"}], {"transforms.0.kind": "choice"}),
        ([{"kind": "python", "code": 7}], {"transforms.0.code": "required"}),
        ([{"kind": "python", "code": "#" * 100_001}], {"transforms.0.code": "max_length"}),
        ([{**PYTHON, "label": "x"}], {"transforms.0.label": "unknown"}),
        ([PYTHON, PYTHON], {"transforms": "max_length"}),
        ([{"kind": "python", "code": "def f(: pass"}], {"transforms.0.code": "invalid_code"}),
        ([{"kind": "python", "code": "x = 1"}], {"transforms.0.code": "invalid_code"}),
    ],
)
def test_what_cannot_work_is_refused_by_its_place(
    world: World, transforms: Any, wrong: dict[str, str]
) -> None:
    streams = [{"stream": "generated", "transforms": transforms}]
    sent = {"name": "Flights", "config": {**CONFIG, "streams": streams}}
    wrong = {f"streams.0.{field}": code for field, code in wrong.items()}
    assert fields(world.client().post(URL, sent)) == wrong
    answer = world.client().post(f"{URL}/validate", sent).json()
    assert {error["field"] for error in answer["errors"]} == set(wrong)


def test_the_message_names_the_line(world: World) -> None:
    code = "def transform(record):\n    record['a'] = 1\n"
    sent = {"name": "x", "config": transformed({"kind": "python", "code": code})}
    (error,) = world.client().post(URL, sent).json()["errors"]
    assert error["message"].startswith("Line 1: transform returns nothing")


def test_a_preview_shows_the_records_as_they_would_be_written(world: World) -> None:
    sent = {"config": without_destination(transformed()), "max_records": 3}
    answer = world.client().post(f"{URL}/preview", sent).json()
    assert answer["ok"], answer
    assert answer["records"] == [{"twice": 2}, {"twice": 4}, {"twice": 6}]
    made = create(world, config=transformed())
    saved = world.client().post(f"{URL}/{made['id']}/preview", {"max_records": 2}).json()
    assert saved["records"] == [{"twice": 2}, {"twice": 4}]
    code = "def transform(record):\n    return {'half': record['id'] / 2}\n"
    other = {"max_records": 1, "transforms": [{"kind": "python", "code": code}]}
    tried = world.client().post(f"{URL}/{made['id']}/preview", other).json()
    assert tried["records"] == [{"half": 0.5}]
    none = world.client().post(f"{URL}/{made['id']}/preview", {"transforms": []}).json()
    assert none["records"][0]["id"] == 1
    bad = {"transforms": [{"kind": "python", "code": "x = 1"}]}
    answer = world.client().post(f"{URL}/{made['id']}/preview", bad)
    assert fields(answer) == {"transforms.0.code": "invalid_code"}
    assert stored_files(world) == []


def test_a_failed_transform_is_reported_with_the_record(world: World) -> None:
    code = "def transform(record):\n    return record['nope']\n"
    config = transformed({"kind": "python", "code": code})
    sent = {"config": without_destination(config)}
    answer = world.client().post(f"{URL}/preview", sent).json()
    assert not answer["ok"]
    assert answer["failure"]["failure_class"] == "contract"
    assert "KeyError" in answer["failure"]["message"]
    assert any("with the record" in line for line in answer["failure"]["evidence"])


def test_a_viewer_may_not_try_code_and_a_stranger_finds_nothing(world: World) -> None:
    made = create(world, config=transformed())
    sent = {"config": without_destination(transformed())}
    assert world.client("viewer").post(f"{URL}/preview", sent).status_code == 403
    change = change_to()
    assert world.client("viewer").patch(f"{URL}/{made['id']}", change).status_code == 403
    stranger = make_world("Other").client()
    assert stranger.patch(f"{URL}/{made['id']}", change).status_code == 404
    assert stranger.post(f"{URL}/{made['id']}/preview", {}).status_code == 404
    assert stranger.post(f"{URL}/{uuid4()}/preview", {}).status_code == 404


def test_no_transaction_is_open_while_code_is_checked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scope of an org is its transaction, so none is open where no scope is."""
    scopes: list[Any] = []
    ask = engine.validate_transform

    def watched(**asked: Any) -> Any:
        scopes.append(current_org_id())
        return ask(**asked)

    monkeypatch.setattr(engine, "validate_transform", watched)
    made = create(world, config=transformed())
    other = {"kind": "python", "code": DOUBLE.replace("* 2", "* 3")}
    one, client = f"{URL}/{made['id']}", world.client()
    put = {"name": "x", "config": transformed()}
    for answer in (
        client.patch(one, change_to(other)),
        client.put(one, put),
        client.post(f"{one}/preview", {"transforms": [other]}),
        client.post(f"{URL}/preview", {"config": transformed()}),
        client.post(f"{URL}/validate", put),
    ):
        assert answer.status_code == 200, answer.content
    assert scopes == [None] * 6


def change_meanwhile(
    monkeypatch: pytest.MonkeyPatch, world: World, pk: str, changes: dict[str, Any]
) -> None:
    """Another user changes the pipeline while the code of the next request is being validated."""
    ask = engine.validate_transform

    def changing(**asked: Any) -> Any:
        monkeypatch.setattr(engine, "validate_transform", ask)
        assert world.client().patch(f"{URL}/{pk}", changes).status_code == 200
        return ask(**asked)

    monkeypatch.setattr(engine, "validate_transform", changing)


def test_a_change_is_refused_when_its_version_is_gone_after_the_check(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create(world, config=CONFIG)
    one, client = f"{URL}/{made['id']}", world.client()
    tag = client.get(one)["ETag"]
    change_meanwhile(monkeypatch, world, made["id"], {"name": "Faster"})
    answer = client.patch(one, change_to(PYTHON), headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    shown = client.get(one).json()
    assert shown["name"] == "Faster"
    assert transforms_of(shown) == []


def test_a_patch_is_settled_against_what_is_stored_after_the_check(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create(world, config=CONFIG)
    rows = {"config": {"source": {"config": {"rows": 9}}}}
    change_meanwhile(monkeypatch, world, made["id"], rows)
    one, client = f"{URL}/{made['id']}", world.client()
    answer = client.patch(one, change_to(PYTHON)).json()
    assert transforms_of(answer) == [PYTHON]
    assert answer["config"]["source"]["config"]["rows"] == 9
    assert answer["version"] == 3


def test_a_pipeline_with_code_is_made_once_for_an_idempotency_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = {"name": "Flights", "config": transformed()}
    twins: list[Any] = []
    ask = engine.validate_transform

    def post() -> Any:
        return world.client().post(URL, sent, headers={"Idempotency-Key": "k"})

    def checked(**asked: Any) -> Any:
        twins.append(post())
        return ask(**asked)

    monkeypatch.setattr(engine, "validate_transform", checked)
    first, again = post(), post()
    (twin,) = twins
    assert (twin.status_code, twin.json()["code"]) == (409, "idempotency_key_in_use")
    assert first.status_code == 201
    assert again.content == first.content
    assert world.client().get(URL).json()["count"] == 1
