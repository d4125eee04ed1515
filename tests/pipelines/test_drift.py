"""What changes at the source of a pipeline is listed, and members accept it, ignore it, or pause the schedule."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from apps.engine.source_columns import MAX_COLUMNS, SourceColumns
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from apps.pipelines.drift import recording
from tests.pipelines.test_patterns import Database, listed
from tests.pipelines.test_pipelines import URL, create_pipeline
from tests.pipelines.test_transforms import CONFIG
from tests.world import World, make_world

STREAM = "generated"
FIRST = SourceColumns({"id": "integer", "name": "text"}, ["id"], is_complete=True)
WITH_PHONE = SourceColumns(
    {"id": "integer", "name": "text", "phone": "text"}, ["id"], is_complete=True
)


class Drifting:
    """A pipeline, and the changes that its runs find."""

    def __init__(self, world: World, pipeline: dict[str, Any] | None = None, **stream: Any) -> None:
        self.world = world
        config = {**CONFIG, "streams": [{"stream": STREAM, **stream}]}
        self.pipeline = pipeline or create_pipeline(world, config=config)
        self.path = f"{URL}/{self.pipeline['id']}"

    def run(self, found: SourceColumns, *, stream: str = STREAM) -> list[tuple[str, ...]]:
        """Record what a run has found. Returns the changes."""
        with self.world.scope():
            changes = recording.record(
                org_id=self.world.org.pk,
                pipeline_id=UUID(self.pipeline["id"]),
                run_id=uuid4(),
                found={stream: found},
            )
        return [(row.kind, row.column, row.before, row.after) for row in changes]

    def list(self, query: str = "") -> list[dict[str, Any]]:
        answer = self.world.client("viewer").get(f"{self.path}/drift{query}")
        assert answer.status_code == 200, answer.json()
        rows: list[dict[str, Any]] = answer.json()["results"]
        return rows

    def decide(self, decision: str, change: dict[str, Any] | None = None) -> Any:
        row = change or self.list()[0]
        return self.world.client().post(f"{self.path}/drift/{row['id']}", {"decision": decision})

    def fields(self) -> Any:
        config = self.world.client().get(self.path).json()["config"]
        return config["streams"][0].get("fields")


@pytest.fixture
def drifting(world: World) -> Drifting:
    drifting = Drifting(world)
    assert drifting.run(FIRST) == []
    return drifting


def test_the_first_run_and_a_run_without_changes_list_nothing(drifting: Drifting) -> None:
    assert drifting.run(FIRST) == []
    assert drifting.list() == []


def test_columns_types_and_keys_that_have_changed_are_listed_once(drifting: Drifting) -> None:
    now = SourceColumns({"id": "bigint", "mail": "text"}, ["id", "mail"], is_complete=True)
    expected = {
        ("type_changed", "id", "integer", "bigint"),
        ("column_added", "mail", "", "text"),
        ("column_removed", "name", "text", ""),
        ("key_changed", "", "id", "id, mail"),
    }
    assert set(drifting.run(now)) == expected
    assert drifting.run(now) == []
    rows = drifting.list()
    assert {(row["kind"], row["column"], row["before"], row["after"]) for row in rows} == expected
    assert {row["stream"] for row in rows} == {STREAM}


def test_a_partial_list_removes_nothing_and_is_added_to_what_is_known(drifting: Drifting) -> None:
    assert drifting.run(SourceColumns({"phone": ""})) == [("column_added", "phone", "", "")]
    assert drifting.run(SourceColumns({"id": ""})) == []
    removed = drifting.run(SourceColumns({"id": "integer"}, is_complete=True))
    assert [change[:2] for change in removed] == [
        ("column_removed", "name"),
        ("column_removed", "phone"),
    ]


def test_a_column_that_comes_and_goes_is_listed_once_until_somebody_decides(
    drifting: Drifting,
) -> None:
    for _ in range(3):
        drifting.run(WITH_PHONE)
        drifting.run(FIRST)
    assert [row["kind"] for row in drifting.list()] == ["column_removed", "column_added"]


def test_a_stream_that_is_missing_is_listed_until_it_is_back(drifting: Drifting) -> None:
    missing = SourceColumns(is_missing=True)
    assert drifting.run(missing) == [("stream_missing", "", "", "")]
    assert drifting.run(missing) == []
    assert drifting.run(FIRST) == []
    assert drifting.list() == []
    assert drifting.run(missing, stream="never read") == []


def test_to_accept_that_a_stream_is_gone_removes_it_from_the_pipeline(world: World) -> None:
    """Otherwise each run would fail for it."""
    config = {**CONFIG, "streams": [{"stream": STREAM}, {"stream": "plants", "table": "green"}]}
    drifting = Drifting(world, create_pipeline(world, config=config))
    drifting.run(FIRST)
    drifting.run(SourceColumns(is_missing=True))
    assert drifting.decide("accept").status_code == 200
    pipeline = world.client().get(drifting.path).json()
    streams = pipeline["config"]["streams"]
    assert [(stream["stream"], stream["table"]) for stream in streams] == [("plants", "green")]
    assert pipeline["version"] == 2


def test_the_only_stream_of_a_pipeline_stays_when_it_is_gone(drifting: Drifting) -> None:
    drifting.run(SourceColumns(is_missing=True))
    assert drifting.decide("accept").status_code == 200
    pipeline = drifting.world.client().get(drifting.path).json()
    assert (len(pipeline["config"]["streams"]), pipeline["version"]) == (1, 1)


def test_a_missing_stream_that_patterns_have_chosen_is_not_listed(drifting: Drifting) -> None:
    drifting.run(FIRST, stream="chosen")
    assert drifting.run(SourceColumns(is_missing=True), stream="chosen") == []


def test_the_number_of_changes_and_of_known_columns_is_limited(drifting: Drifting) -> None:
    for number in range(3):
        many = SourceColumns({f"c{number}_{n}": "" for n in range(MAX_COLUMNS)})
        assert len(drifting.run(many)) == recording.MAX_CHANGES


def test_a_column_that_the_contract_leaves_out_is_listed_even_in_the_first_run(
    world: World,
) -> None:
    drifting = Drifting(world, contract="drop_columns")
    found = SourceColumns(WITH_PHONE.columns, ["id"], is_complete=True, left_out=["phone"])
    assert drifting.run(found) == [("column_added", "phone", "", "text")]
    assert drifting.run(found) == []
    (row,) = drifting.list()
    assert row["effect"] == "left_out"


@pytest.mark.parametrize(
    ("stream", "effect", "fields"),
    [
        ({}, "arrives", None),
        ({"contract": "freeze"}, "fails_runs", "keep"),
        ({"contract": "drop_columns"}, "left_out", "keep"),
        ({"contract": "drop_rows"}, "leaves_out_records", "keep"),
        ({"fields": {"others": "drop", "rules": [{"field": "id"}]}}, "left_out", "drop"),
    ],
)
def test_accepting_a_new_column_keeps_it(
    world: World, stream: dict[str, Any], effect: str, fields: str | None
) -> None:
    drifting = Drifting(world, **stream)
    drifting.run(FIRST)
    drifting.run(WITH_PHONE)
    assert drifting.list()[0]["effect"] == effect
    answer = drifting.decide("accept")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["decision"], body["effect"]) == ("accept", "arrives")
    assert body["decided_by"]["id"] == str(world.users[Role.MEMBER].pk)
    if fields is None:
        assert drifting.fields() is None
    else:
        assert drifting.fields()["others"] == fields
        assert drifting.fields()["rules"][-1] == {"field": "phone"}
        assert drifting.world.client().get(drifting.path).json()["version"] == 2


def test_accepting_a_column_of_a_stream_of_patterns_gives_this_stream_its_own_rule(
    world: World,
) -> None:
    database = Database(world, *listed("orders", "items"))
    code = [{"kind": "python", "code": "def transform(record): return record"}]
    defaults = {"contract": "freeze", "transforms": code}
    created = database.create("*", naming="raw.{table}", defaults=defaults)
    drifting = Drifting(world, created.json())
    drifting.run(FIRST, stream="orders")
    drifting.run(WITH_PHONE, stream="orders")
    assert drifting.list()[0]["effect"] == "fails_runs"
    assert drifting.decide("accept").json()["effect"] == "arrives"
    config = world.client().get(drifting.path).json()["config"]
    (stream,) = config["streams"]
    assert (stream["stream"], stream["table"], stream["contract"]) == (
        "orders",
        "raw.orders",
        "freeze",
    )
    assert (stream["primary_key"], stream["transforms"]) == (["id"], code)
    assert stream["fields"]["rules"] == [{"field": "phone"}]
    assert "fields" not in config["patterns"]
    rows = world.client().get(f"{drifting.path}/streams").json()["results"]
    assert {row["stream"]: row["named"] for row in rows} == {"orders": True, "items": False}


def test_the_changes_of_one_run_are_listed(drifting: Drifting) -> None:
    drifting.run(WITH_PHONE)
    drifting.run(SourceColumns({"id": "text"}))
    (newest, *_) = drifting.list()
    assert {row["run_id"] for row in drifting.list(f"?run={newest['run_id']}")} == {
        newest["run_id"]
    }
    assert drifting.list(f"?run={uuid4()}") == []


def test_accepting_a_column_does_not_change_a_rule_that_drops_it(world: World) -> None:
    rules = {"rules": [{"field": "phone", "drop": True}]}
    drifting = Drifting(world, fields=rules)
    drifting.run(FIRST)
    drifting.run(WITH_PHONE)
    assert drifting.decide("accept").json()["effect"] == "left_out"
    assert drifting.fields() == {"others": "keep", **rules}


def test_ignoring_changes_nothing_and_hides_the_change(world: World) -> None:
    drifting = Drifting(world, contract="freeze")
    drifting.run(FIRST)
    drifting.run(WITH_PHONE)
    assert drifting.decide("ignore").json()["decision"] == "ignore"
    assert drifting.fields() is None
    assert drifting.list("?decided=false") == []
    assert [row["decision"] for row in drifting.list("?decided=true")] == ["ignore"]


def test_pausing_pauses_the_schedule_until_somebody_accepts(drifting: Drifting) -> None:
    drifting.run(WITH_PHONE)
    refused = drifting.decide("pause")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_schedule")
    assert drifting.list()[0]["decision"] is None
    drifting.world.client().patch(drifting.path, {"schedule": "0 6 * * *"})
    assert drifting.decide("pause").status_code == 200
    pipeline = drifting.world.client().get(drifting.path).json()
    assert pipeline["schedule"]["paused_note"] == "Changes at the source"
    assert [row["decision"] for row in drifting.list("?decided=false")] == ["pause"]
    assert drifting.decide("accept").status_code == 200


def test_a_change_is_decided_once(drifting: Drifting) -> None:
    drifting.run(WITH_PHONE)
    (change,) = drifting.list()
    assert drifting.decide("ignore", change).status_code == 200
    again = drifting.decide("accept", change)
    assert (again.status_code, again.json()["code"]) == (409, "change_decided")
    assert drifting.decide("postpone", change).status_code == 422
    unknown = {"id": str(uuid4())}
    assert drifting.decide("accept", unknown).status_code == 404


def test_a_decision_is_in_the_audit_log(drifting: Drifting) -> None:
    drifting.run(WITH_PHONE)
    drifting.decide("ignore")
    with drifting.world.scope():
        event = AuditEvent.objects.for_org(drifting.world.org).latest("at")
    assert event.action == "drift.ignore"
    assert event.changes["column"] == ["phone", "phone"]
    assert event.changes["decision"] == [None, "ignore"]


def test_only_members_who_may_edit_decide(drifting: Drifting) -> None:
    drifting.run(WITH_PHONE)
    (change,) = drifting.list()
    path, body = f"{drifting.path}/drift/{change['id']}", {"decision": "ignore"}
    stranger = make_world("Other").client()
    assert stranger.get(f"{drifting.path}/drift").status_code == 404
    assert stranger.post(path, body).status_code == 404
    assert drifting.world.client("viewer").post(path, body).status_code == 403
    assert drifting.world.client().post(path, body).status_code == 200


def test_a_long_list_needs_as_many_queries_as_a_short_one(
    drifting: Drifting, django_assert_max_num_queries: Any
) -> None:
    drifting.run(WITH_PHONE)
    with django_assert_max_num_queries(20) as short:
        drifting.list()
    drifting.run(SourceColumns({f"c{n}": "" for n in range(40)}))
    with django_assert_max_num_queries(20) as long:
        drifting.list()
    assert len(long) == len(short)


def test_a_source_that_changes_at_each_run_does_not_fill_the_list(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_OPEN", 5)
    drifting = Drifting(world)
    drifting.run(FIRST)
    for number in range(4):
        names = [f"c{number}_{n}" for n in range(3)]
        drifting.run(SourceColumns(dict.fromkeys(["id", *names], ""), is_complete=False))
    assert len(drifting.list()) == 5
    drifting.decide("ignore")
    drifting.run(SourceColumns({"id": "", "another": ""}, is_complete=False))
    assert drifting.list()[0]["column"] == "another"
