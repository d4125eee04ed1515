"""Pipelines: create, list, change, duplicate, delete; permissions."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from apps.auth.models import new_id
from apps.orgs.models import AuditEvent, Domain
from apps.orgs.roles import Role
from apps.pipelines import services, specs
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.runs.models import Run
from tests.world import World, make_connector, make_pipeline

URL = "/api/v1/pipelines"
UNKNOWN = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f20"
PASSWORD = "canary-of-an-inline-password-3k9z"


def config(stream: dict[str, Any] | None = None, /, **source: Any) -> dict[str, Any]:
    return {
        "source": {"kind": "dummy", "config": {"rows": 10}, **source},
        "streams": [{"stream": "generated", **(stream or {})}],
        "destination": {"kind": "logger", "config": {}},
    }


def database(**settings: Any) -> dict[str, Any]:
    """A definition whose source has an inline secret."""
    inline = {"host": "db.example.com", "database": "shop", "user": "r", "password": PASSWORD}
    return config({"stream": "public.orders"}, kind="postgres", config={**inline, **settings})


def create(world: World, **changes: Any) -> dict[str, Any]:
    answer = world.client().post(URL, {"name": "Flights", "config": config(), **changes})
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def fields(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.content
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def plain_source(world: World, pk: str, version: int | None = None) -> Any:
    with world.scope():
        pipeline = Pipeline.objects.for_org(world.org).get(pk=pk)
        made = specs.engine_specs(
            org=world.org, pipeline=pipeline, version=version or pipeline.version
        )
    return made.source


def test_a_pipeline_is_made_and_read_back(world: World) -> None:
    made = create(world, schedule="0 */6 * * *", tags=[" Daily ", "daily", "b"])
    assert made["tags"] == ["daily", "b"]
    assert made["schedule"]["cron"] == "0 */6 * * *"
    assert made["next_run_at"] is not None
    read = world.client(Role.VIEWER).get(f"{URL}/{made['id']}")
    assert read.json() == made
    assert read.headers["ETag"] == '"1"'
    (row,) = world.client(Role.VIEWER).get(URL).json()["results"]
    made["schedule"].pop("paused_by")
    assert row == {name: made[name] for name in row}
    assert "config" not in row


def test_what_follows_from_the_rest_is_filled_in(world: World) -> None:
    made = create(world, config=config({"sync_mode": "incremental", "primary_key": "id"}))
    assert made["config"]["streams"] == [
        {
            "stream": "generated",
            "table": "generated",
            "sync_mode": "incremental",
            "cursor_field": None,
            "primary_key": ["id"],
            "write_mode": "merge",
            "transforms": [],
        }
    ]


METHODS: list[tuple[str, str, Any]] = [
    ("get", "", None),
    ("patch", "", {"name": "Mine"}),
    ("put", "", {"name": "Mine", "config": config()}),
    ("delete", "", None),
    ("post", "/duplicate", {}),
    ("post", "/enable", {}),
    ("post", "/disable", {}),
    ("post", "/preview", {}),
    ("get", "/versions", None),
    ("get", "/versions/1", None),
    ("get", "/versions/1/diff", None),
    ("post", "/versions/1/restore", {}),
    ("post", "/schedule/pause", {}),
    ("post", "/schedule/resume", {}),
    ("get", "/schedule/preview", None),
]


@pytest.mark.parametrize(("method", "path", "sent"), METHODS)
def test_a_stranger_cannot_tell_a_pipeline_from_none(
    world: World, stranger: World, method: str, path: str, sent: Any
) -> None:
    made = make_pipeline(world, schedule="0 0 * * *")
    ask = getattr(stranger.client(Role.OWNER), method)
    foreign = ask(f"{URL}/{made.pk}{path}", sent)
    unknown = ask(f"{URL}/{UNKNOWN}{path}", sent)
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


@pytest.mark.parametrize(
    ("method", "path", "sent"), [entry for entry in METHODS if entry[0] != "get"]
)
def test_a_viewer_changes_nothing(world: World, method: str, path: str, sent: Any) -> None:
    made = make_pipeline(world, schedule="0 0 * * *")
    answer = getattr(world.client(Role.VIEWER), method)(f"{URL}/{made.pk}{path}", sent)
    assert answer.status_code == 403
    assert answer.json()["permission"].startswith("pipelines.")


def test_a_viewer_makes_and_tries_nothing(world: World) -> None:
    viewer = world.client(Role.VIEWER)
    for path in ("", "/validate", "/preview"):
        assert viewer.post(f"{URL}{path}", {"name": "x", "config": config()}).status_code == 403


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"name": ""}, {"name": "blank"}),
        ({"config": None}, {"config": "null"}),
        ({"config": {}}, {"source": "required", "streams": "required", "destination": "required"}),
        ({"config": {**config(), "sink": {}}}, {"sink": "unknown"}),
        ({"config": config(kind="dumy")}, {"source.kind": "unknown"}),
        ({"config": config(kind=None)}, {"source.kind": "required"}),
        ({"config": config(kind=7)}, {"source.kind": "required"}),
        ({"config": config(config={"rows": "x"})}, {"source.config.rows": "type"}),
        ({"config": config(config={"row": 1})}, {"source.config.row": "unknown"}),
        ({"config": config(config=[])}, {"source.config": "type"}),
        ({"config": config({"stream": "generatde"})}, {"streams.0.stream": "unknown"}),
        ({"config": config({"stream": ""})}, {"streams.0.stream": "required"}),
        ({"config": config({"stream": ["x"]})}, {"streams.0.stream": "required"}),
        ({"config": config({"sync_mode": "sometimes"})}, {"streams.0.sync_mode": "choice"}),
        ({"config": config({"sync_mode": {}})}, {"streams.0.sync_mode": "choice"}),
        ({"config": config({"cursor_field": 1})}, {"streams.0.cursor_field": "type"}),
        ({"config": config({"primary_key": ["a", "a"]})}, {"streams.0.primary_key": "invalid"}),
        ({"config": config({"primary_key": {"a": 1}})}, {"streams.0.primary_key": "type"}),
        ({"config": config(colour="red")}, {"source.colour": "unknown"}),
        ({"config": config({"colour": "red"})}, {"streams.0.colour": "unknown"}),
        ({"config": config() | {"streams": None}}, {"streams": "required"}),
        ({"config": config() | {"streams": []}}, {"streams": "required"}),
        ({"config": config() | {"streams": {"stream": "generated"}}}, {"streams": "type"}),
        ({"config": config() | {"streams": ["generated"]}}, {"streams.0": "type"}),
        ({"config": config() | {"streams": [{"stream": "generated"}, {"stream": "creatures"}]}}, {"streams": "max_length"}),
        ({"config": config(connector_id=UNKNOWN)}, {"source.connector_id": "unknown"}),
        ({"config": config(connector_id=12)}, {"source.connector_id": "unknown"}),
        (
            {"config": config({"stream": "creatures", "sync_mode": "incremental"})},
            {"streams.0.sync_mode": "unsupported"},
        ),
        (
            {"config": database() | {"streams": [{"stream": "public.orders", "sync_mode": "incremental"}]}},
            {"streams.0.cursor_field": "required"},
        ),
        ({"schedule": "* * * * * *"}, {"schedule.cron": "invalid"}),
        ({"schedule": {"cron": "0 0 * * *", "timezone": "Mars/Olympus"}}, {"schedule.timezone": "unknown"}),
        ({"schedule": {"interval_seconds": 59}}, {"schedule.interval_seconds": "invalid"}),
        ({"schedule": {"interval_seconds": 1e26}}, {"schedule.interval_seconds": "invalid"}),
        ({"schedule": {"interval_seconds": True}}, {"schedule.interval_seconds": "invalid"}),
        ({"schedule": {"cron": "0 0 * * *", "interval_seconds": 60}}, {"schedule.cron": "ambiguous"}),
        ({"schedule": {}}, {"schedule.cron": "required"}),
        ({"schedule": {"crno": "0 0 * * *"}}, {"schedule.crno": "unknown", "schedule.cron": "required"}),
        ({"schedule": 7}, {"schedule": "type"}),
        ({"schedule": {"cron": "0 0 * * *", "overlap": ["skip"]}}, {"schedule.overlap": "choice"}),
        ({"schedule": {"cron": "0 0 * * *", "jitter_seconds": 9999}}, {"schedule.jitter_seconds": "invalid"}),
        ({"tags": ["a,b"]}, {"tags": "tag"}),
        ({"tags": [str(n) for n in range(21)]}, {"tags": "many"}),
        ({"tags": "daily"}, {"tags": "list"}),
        ({"timeout_seconds": 1}, {"timeout_seconds": "min_value"}),
        ({"max_attempts": 10**26}, {"max_attempts": "invalid"}),
        ({"domain_id": UNKNOWN}, {"domain_id": "unknown"}),
        ({"colour": "red"}, {"colour": "unknown"}),
    ],
)  # fmt: skip
def test_wrong_fields_are_named_by_their_path(
    world: World, sent: dict[str, Any], expected: dict[str, str]
) -> None:
    body = {"name": "Flights", "config": config(), **sent}
    assert fields(world.client().post(URL, body)) == expected
    validated = world.client().post(f"{URL}/validate", body)
    assert validated.status_code == 200
    answer = validated.json()
    assert answer["valid"] is False
    assert {error["field"]: error["code"] for error in answer["errors"]} == expected


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ({"write_mode": "merge"}, {"primary_key": "required"}),
        ({"sync_mode": "incremental", "write_mode": "replace"}, {"write_mode": "unsupported"}),
        ({"write_mode": "upsert"}, {"write_mode": "choice"}),
        ({"table": "no spaces please"}, {"table": "invalid"}),
        ({"table": "a.b.c"}, {"table": "invalid"}),
        ({"table": "../etc"}, {"table": "invalid"}),
        ({"table": "x" * 64}, {"table": "invalid"}),
    ],
)
def test_source_stream_and_destination_must_go_together(
    world: World, stream: dict[str, Any], expected: dict[str, str]
) -> None:
    sent = {"name": "x", "config": config(stream)}
    named = {f"streams.0.{field}": code for field, code in expected.items()}
    assert fields(world.client().post(URL, sent)) == named


def test_a_definition_in_the_old_format_is_refused_with_each_fields_new_place(world: World) -> None:
    stream = {"stream": "generated", "sync_mode": "full_refresh", "cursor_field": None}
    target = {"table": "flights", "write_mode": "replace"}
    sent = {
        "source": {"kind": "dummy", "config": {}, **stream, "primary_key": ["id"]},
        "destination": {"kind": "logger", "config": {}, **target},
        "transforms": [],
    }
    made = create(world)
    for answer in (
        world.client().post(URL, {"name": "x", "config": sent}),
        world.client().patch(f"{URL}/{made['id']}", {"config": sent}),
    ):
        assert answer.status_code == 422
        moved = {e["field"]: e["message"] for e in answer.json()["errors"] if e["code"] == "moved"}
        assert moved == {
            old: f"This field has moved to streams.0.{old.split('.')[-1]}."
            for old in (
                *(f"source.{name}" for name in (*stream, "primary_key")),
                *(f"destination.{name}" for name in target),
                "transforms",
            )
        }


def test_a_patch_keeps_what_it_leaves_out_of_the_same_stream(world: World) -> None:
    stream = {"sync_mode": "incremental", "primary_key": ["id"], "table": "numbers"}
    made = create(world, config=config(stream))
    (before,) = made["config"]["streams"]

    def patched(*streams: dict[str, Any]) -> Any:
        answer = world.client().patch(f"{URL}/{made['id']}", {"config": {"streams": streams}})
        assert answer.status_code == 200, answer.content
        return answer.json()["config"]["streams"]

    assert patched({"write_mode": "append"}) == [{**before, "write_mode": "append"}]
    changed = {**before, "write_mode": "append", "table": "more"}
    assert patched({"stream": "generated", "table": "more"}) == [changed]
    assert patched({"table": None, "write_mode": None}) == [{**before, "table": "generated"}]
    other = {"stream": "creatures", "table": "creatures", "sync_mode": "full_refresh"}
    rest: dict[str, Any] = {
        "cursor_field": None,
        "primary_key": [],
        "write_mode": "replace",
        "transforms": [],
    }
    assert patched({"stream": "creatures"}) == [other | rest]


@pytest.mark.parametrize(
    ("streams", "code"), [(None, "required"), ([], "required"), ([{}, {}], "max_length")]
)
def test_a_patch_leaves_exactly_one_stream(world: World, streams: Any, code: str) -> None:
    made = create(world)
    answer = world.client().patch(f"{URL}/{made['id']}", {"config": {"streams": streams}})
    assert fields(answer) == {"streams": code}


def test_a_valid_pipeline_validates_and_nothing_is_made(world: World) -> None:
    sent = {"name": "Flights", "config": config(), "schedule": "0 0 * * *"}
    answer = world.client().post(f"{URL}/validate", sent)
    assert answer.json() == {"valid": True, "errors": []}
    assert world.client().get(URL).json()["count"] == 0


def test_settings_come_from_a_saved_connector(world: World) -> None:
    saved = make_connector(world, config={"rows": 7})
    made = create(
        world,
        config=config({"primary_key": ["id"]}, connector_id=str(saved.pk), kind=None, config=None),
    )
    assert made["config"]["source"]["kind"] == "dummy"
    assert made["config"]["source"]["config"] is None
    source = plain_source(world, made["id"])
    assert (source.config, source.primary_key) == ({"rows": 7}, ("id",))


def test_a_connector_of_another_org_or_role_is_unknown(world: World, stranger: World) -> None:
    foreign = make_connector(stranger)
    destination = make_connector(world, role="destination", kind="logger")
    for pk in (foreign.pk, destination.pk):
        sent = config(connector_id=str(pk), config=None, kind=None)
        answer = world.client().post(URL, {"name": "x", "config": sent})
        assert fields(answer) == {"source.connector_id": "unknown"}


def test_connector_and_inline_settings_together_are_refused(world: World) -> None:
    saved = make_connector(world)
    answer = world.client().post(URL, {"name": "x", "config": config(connector_id=str(saved.pk))})
    assert fields(answer) == {"source.config": "ambiguous"}
    sent = config(connector_id=str(saved.pk), config=None, kind="postgres")
    answer = world.client().post(URL, {"name": "x", "config": sent})
    assert fields(answer) == {"source.kind": "mismatch"}


def test_an_inline_secret_is_masked_kept_and_given_to_the_engine(world: World) -> None:
    made = create(world, config=database())
    marker = {"set": True, "last4": "3k9z"}
    assert made["config"]["source"]["config"]["password"] == marker
    client = world.client()
    path = f"{URL}/{made['id']}"
    patched = client.patch(path, {"config": {"source": {"config": {"database": "store"}}}})
    assert patched.status_code == 200, patched.content
    assert patched.json()["version"] == 2
    shown = patched.json()["config"]
    assert shown["source"]["config"]["database"] == "store"
    replaced = client.put(path, {"name": "Flights", "config": shown})
    assert replaced.status_code == 200, replaced.content
    assert replaced.json()["version"] == 2
    assert plain_source(world, made["id"]).config["password"] == PASSWORD


def test_an_inline_secret_does_not_follow_a_changed_host(world: World) -> None:
    made = create(world, config=database())
    path = f"{URL}/{made['id']}"
    for side in ({"host": "evil.example.net"}, {"port": 1}):
        answer = world.client().patch(path, {"config": {"source": {"config": side}}})
        assert fields(answer) == {"source.config.password": "secret_required"}
    moved = made["config"]
    moved["source"]["config"]["host"] = "evil.example.net"
    answer = world.client().put(path, {"name": "x", "config": moved})
    assert fields(answer) == {"source.config.password": "secret_required"}


def test_another_kind_leaves_the_old_settings_and_secrets_behind(world: World) -> None:
    made = create(world, config=database())
    source, streams = {"kind": "dummy", "config": {}}, [{"stream": "generated"}]
    sent = {"config": {"source": source, "streams": streams}}
    answer = world.client().patch(f"{URL}/{made['id']}", sent)
    assert answer.status_code == 200, answer.content
    assert answer.json()["config"]["source"]["config"] == {}
    assert plain_source(world, made["id"]).config == {}


def test_a_patch_from_inline_settings_to_a_connector_and_back(world: World) -> None:
    saved = make_connector(world, config={"rows": 7})
    made = create(world)
    path = f"{URL}/{made['id']}"
    used = world.client().patch(path, {"config": {"source": {"connector_id": str(saved.pk)}}})
    assert used.status_code == 200, used.content
    assert used.json()["config"]["source"]["config"] is None
    back = world.client().patch(
        path, {"config": {"source": {"kind": "dummy", "config": {"rows": 3}}}}
    )
    assert back.status_code == 200, back.content
    assert back.json()["config"]["source"]["connector_id"] is None
    assert plain_source(world, made["id"]).config == {"rows": 3}


def test_a_name_is_taken_once(world: World) -> None:
    create(world)
    answer = world.client().post(URL, {"name": "FLIGHTS", "config": config()})
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_the_etag_rises_with_every_change_and_guards_against_lost_ones(world: World) -> None:
    made = create(world)
    client = world.client()
    path = f"{URL}/{made['id']}"
    first = client.patch(path, {"tags": ["a"]}, headers={"If-Match": '"1"'})
    assert first.headers["ETag"] == '"2"'
    assert client.patch(path, {"tags": ["a"]}).headers["ETag"] == '"2"'
    assert client.put(path, {"name": "x", "config": config()}, headers={"If-Match": '"1"'}).status_code == 412  # fmt: skip
    assert client.delete(path, headers={"If-Match": '"1"'}).status_code == 412


def test_a_put_resets_what_is_left_out(world: World) -> None:
    made = create(world, tags=["a"], schedule="0 0 * * *", description="d", max_attempts=5)
    answer = world.client().put(f"{URL}/{made['id']}", {"name": "Flights", "config": config()})
    body = answer.json()
    assert (body["tags"], body["schedule"], body["description"]) == ([], None, "")
    assert (body["max_attempts"], body["version"]) == (3, 1)


def test_a_copy_is_disabled_named_and_independent(world: World) -> None:
    made = create(world, config=database(), schedule="0 0 * * *", tags=["a"])
    client = world.client()
    first = client.post(f"{URL}/{made['id']}/duplicate", {}).json()
    second = client.post(f"{URL}/{made['id']}/duplicate", {}).json()
    named = client.post(f"{URL}/{made['id']}/duplicate", {"name": "Mine"}).json()
    assert [first["name"], second["name"], named["name"]] == [
        "Flights (copy)",
        "Flights (copy 2)",
        "Mine",
    ]
    assert (first["enabled"], first["next_run_at"]) == (False, None)
    assert (first["schedule"]["cron"], first["tags"]) == ("0 0 * * *", ["a"])
    client.patch(f"{URL}/{made['id']}", {"config": {"source": {"config": {"password": "new"}}}})
    assert plain_source(world, first["id"]).config["password"] == PASSWORD


def test_enabling_and_disabling_plan_the_schedule(world: World) -> None:
    made = create(world, schedule="0 0 * * *")
    client = world.client()
    off = client.post(f"{URL}/{made['id']}/disable", {}).json()
    assert (off["enabled"], off["next_run_at"]) == (False, None)
    on = client.post(f"{URL}/{made['id']}/enable", {}).json()
    assert on["enabled"] is True
    assert on["next_run_at"] == made["next_run_at"]
    assert client.post(f"{URL}/{made['id']}/enable", {}).headers["ETag"] == '"3"'


def test_deleting_takes_versions_schedule_and_runs_along(world: World) -> None:
    made = make_pipeline(world, schedule="0 0 * * *")
    with world.scope():
        run = Run.unscoped.create(
            org=world.org, pipeline=made, version=1, status="succeeded", trigger="manual"
        )
    assert world.client().delete(f"{URL}/{made.pk}").status_code == 204
    with world.scope():
        assert not Run.objects.for_org(world.org).filter(pk=run.pk).exists()
        assert not PipelineVersion.objects.for_org(world.org).exists()


def test_a_pipeline_with_a_live_run_is_not_deleted(world: World) -> None:
    made = make_pipeline(world)
    with world.scope():
        Pipeline.objects.for_org(world.org).update(last_run_id=new_id(), last_run_status="running")
    answer = world.client().delete(f"{URL}/{made.pk}")
    assert (answer.status_code, answer.json()["code"]) == (409, "run_in_progress")


def test_changes_never_touch_what_runs_keep_on_the_row(world: World) -> None:
    made = make_pipeline(world)
    with world.scope():
        stale = Pipeline.objects.for_org(world.org).get()
        Pipeline.objects.for_org(world.org).update(
            last_run_id=new_id(), last_run_status="succeeded", last_run_finished_at=timezone.now()
        )
        stale.name = "New"
        services._save(stale)
    shown = world.client().get(f"{URL}/{made.pk}").json()
    assert (shown["name"], shown["last_run"]["status"]) == ("New", "succeeded")


def test_every_change_is_audited_with_masks(world: World) -> None:
    made = create(world, config=database())
    client = world.client()
    path = f"{URL}/{made['id']}"
    client.patch(path, {"config": {"source": {"config": {"password": "canary-two-8w3y"}}}})
    client.patch(path, {"name": "Store", "schedule": "0 0 * * *"})
    client.delete(path)
    with world.scope():
        events = list(
            AuditEvent.objects.for_org(world.org)
            .filter(object_kind="pipeline")
            .order_by("id")
            .values_list("action", "changes")
        )
    assert [action for action, _ in events] == [
        "pipeline.create",
        "pipeline.update",
        "pipeline.update",
        "pipeline.delete",
    ]
    assert "canary" not in str(events)
    assert events[1][1]["config.source.config.password"] == [
        {"set": True, "last4": "3k9z"},
        {"set": True, "last4": "8w3y"},
    ]
    assert events[2][1]["name"] == ["Flights", "Store"]
    assert events[2][1]["schedule"][1]["cron"] == "0 0 * * *"


def test_a_domain_of_the_org_groups_pipelines(world: World, stranger: World) -> None:
    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Marketing")
    with stranger.scope():
        foreign = Domain.unscoped.create(org=stranger.org, name="Theirs")
    made = create(world, domain_id=str(domain.pk))
    assert made["domain"] == {"id": str(domain.pk), "name": "Marketing"}
    answer = world.client().patch(f"{URL}/{made['id']}", {"domain_id": str(foreign.pk)})
    assert fields(answer) == {"domain_id": "unknown"}
    cleared = world.client().patch(f"{URL}/{made['id']}", {"domain_id": None})
    assert cleared.json()["domain"] is None
