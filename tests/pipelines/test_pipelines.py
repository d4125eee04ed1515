"""Pipelines can be created, listed, changed, duplicated and deleted, with the right permissions."""

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
UNKNOWN_ID = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f20"
PASSWORD = "canary-of-an-inline-password-3k9z"


def config(stream: dict[str, Any] | None = None, /, **source: Any) -> dict[str, Any]:
    """Return a definition with a dummy source. The keyword arguments change the source."""
    return {
        "source": {"kind": "dummy", "config": {"rows": 10}, **source},
        "streams": [{"stream": "generated", **(stream or {})}],
        "destination": {"kind": "logger", "config": {}},
    }


def config_with_secret(**settings: Any) -> dict[str, Any]:
    """Return a definition whose source has a secret in its inline settings."""
    inline_settings = {
        "host": "db.example.com",
        "database": "shop",
        "user": "r",
        "password": PASSWORD,
    }
    return config(
        {"stream": "public.orders"}, kind="postgres", config={**inline_settings, **settings}
    )


def create_pipeline(world: World, **changes: Any) -> dict[str, Any]:
    answer = world.client().post(URL, {"name": "Flights", "config": config(), **changes})
    assert answer.status_code == 201, answer.content
    pipeline: dict[str, Any] = answer.json()
    return pipeline


def error_codes(answer: Any) -> dict[str, str]:
    """Return the error code of each invalid field."""
    assert answer.status_code == 422, answer.content
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def engine_source(world: World, pk: str, version: int | None = None) -> Any:
    """Return the source as the engine would receive it, with secrets."""
    with world.scope():
        pipeline = Pipeline.objects.for_org(world.org).get(pk=pk)
        (stream,) = specs.engine_specs(
            org=world.org, pipeline=pipeline, version=version or pipeline.version
        )
    return stream.source


def test_a_created_pipeline_can_be_read_and_listed(world: World) -> None:
    pipeline = create_pipeline(world, schedule="0 */6 * * *", tags=[" Daily ", "daily", "b"])
    assert pipeline["tags"] == ["daily", "b"]
    assert pipeline["schedule"]["cron"] == "0 */6 * * *"
    assert pipeline["next_run_at"] is not None
    answer = world.client(Role.VIEWER).get(f"{URL}/{pipeline['id']}")
    assert answer.json() == pipeline
    assert answer.headers["ETag"] == '"1"'
    (row,) = world.client(Role.VIEWER).get(URL).json()["results"]
    pipeline["schedule"].pop("paused_by")
    assert row == {name: pipeline[name] for name in row}
    assert "config" not in row


def test_missing_fields_of_a_stream_get_defaults(world: World) -> None:
    pipeline = create_pipeline(
        world, config=config({"sync_mode": "incremental", "primary_key": "id"})
    )
    assert pipeline["config"]["streams"] == [
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


REQUESTS: list[tuple[str, str, Any]] = [
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


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
def test_a_stranger_gets_the_same_404_for_a_pipeline_as_for_an_unknown_id(
    world: World, stranger: World, method: str, path: str, body: Any
) -> None:
    pipeline = make_pipeline(world, schedule="0 0 * * *")
    send = getattr(stranger.client(Role.OWNER), method)
    foreign = send(f"{URL}/{pipeline.pk}{path}", body)
    unknown = send(f"{URL}/{UNKNOWN_ID}{path}", body)
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


@pytest.mark.parametrize(
    ("method", "path", "body"), [entry for entry in REQUESTS if entry[0] != "get"]
)
def test_a_viewer_may_not_change_a_pipeline(
    world: World, method: str, path: str, body: Any
) -> None:
    pipeline = make_pipeline(world, schedule="0 0 * * *")
    answer = getattr(world.client(Role.VIEWER), method)(f"{URL}/{pipeline.pk}{path}", body)
    assert answer.status_code == 403
    assert answer.json()["permission"].startswith("pipelines.")


def test_a_viewer_may_not_create_validate_or_preview_a_pipeline(world: World) -> None:
    viewer_client = world.client(Role.VIEWER)
    for path in ("", "/validate", "/preview"):
        assert (
            viewer_client.post(f"{URL}{path}", {"name": "x", "config": config()}).status_code == 403
        )


@pytest.mark.parametrize(
    ("changes", "expected"),
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
        ({"config": config() | {"streams": [{"stream": "generated"}, {"stream": "generated"}]}}, {"streams.1.stream": "duplicate"}),
        ({"config": config(connector_id=UNKNOWN_ID)}, {"source.connector_id": "unknown"}),
        ({"config": config(connector_id=12)}, {"source.connector_id": "unknown"}),
        (
            {"config": config({"stream": "creatures", "sync_mode": "incremental"})},
            {"streams.0.sync_mode": "unsupported"},
        ),
        (
            {"config": config_with_secret() | {"streams": [{"stream": "public.orders", "sync_mode": "incremental"}]}},
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
        ({"domain_id": UNKNOWN_ID}, {"domain_id": "unknown"}),
        ({"colour": "red"}, {"colour": "unknown"}),
    ],
)  # fmt: skip
def test_errors_name_the_path_of_each_invalid_field(
    world: World, changes: dict[str, Any], expected: dict[str, str]
) -> None:
    body = {"name": "Flights", "config": config(), **changes}
    assert error_codes(world.client().post(URL, body)) == expected
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
def test_stream_settings_must_be_supported_by_source_and_destination(
    world: World, stream: dict[str, Any], expected: dict[str, str]
) -> None:
    body = {"name": "x", "config": config(stream)}
    expected_codes = {f"streams.0.{field}": code for field, code in expected.items()}
    assert error_codes(world.client().post(URL, body)) == expected_codes


def test_a_definition_in_the_old_format_is_rejected_with_the_new_path_of_each_field(
    world: World,
) -> None:
    stream = {"stream": "generated", "sync_mode": "full_refresh", "cursor_field": None}
    target = {"table": "flights", "write_mode": "replace"}
    old_config = {
        "source": {"kind": "dummy", "config": {}, **stream, "primary_key": ["id"]},
        "destination": {"kind": "logger", "config": {}, **target},
        "transforms": [],
    }
    pipeline = create_pipeline(world)
    for answer in (
        world.client().post(URL, {"name": "x", "config": old_config}),
        world.client().patch(f"{URL}/{pipeline['id']}", {"config": old_config}),
    ):
        assert answer.status_code == 422
        messages = {
            e["field"]: e["message"] for e in answer.json()["errors"] if e["code"] == "moved"
        }
        assert messages == {
            field: f"This field has moved to streams.0.{field.split('.')[-1]}."
            for field in (
                *(f"source.{name}" for name in (*stream, "primary_key")),
                *(f"destination.{name}" for name in target),
                "transforms",
            )
        }


def test_a_patch_keeps_omitted_fields_of_the_same_stream(world: World) -> None:
    stream = {"sync_mode": "incremental", "primary_key": ["id"], "table": "numbers"}
    pipeline = create_pipeline(world, config=config(stream))
    (before,) = pipeline["config"]["streams"]

    def patch_streams(*streams: dict[str, Any]) -> Any:
        answer = world.client().patch(f"{URL}/{pipeline['id']}", {"config": {"streams": streams}})
        assert answer.status_code == 200, answer.content
        return answer.json()["config"]["streams"]

    assert patch_streams({"write_mode": "append"}) == [{**before, "write_mode": "append"}]
    changed = {**before, "write_mode": "append", "table": "more"}
    assert patch_streams({"stream": "generated", "table": "more"}) == [changed]
    assert patch_streams({"table": None, "write_mode": None}) == [{**before, "table": "generated"}]
    new_stream = {"stream": "creatures", "table": "creatures", "sync_mode": "full_refresh"}
    defaults: dict[str, Any] = {
        "cursor_field": None,
        "primary_key": [],
        "write_mode": "replace",
        "transforms": [],
    }
    assert patch_streams({"stream": "creatures"}) == [new_stream | defaults]


@pytest.mark.parametrize(
    ("streams", "field", "code"),
    [
        (None, "streams", "required"),
        ([], "streams", "required"),
        ([{}, {}], "streams.1.stream", "duplicate"),
        ([{}, 1], "streams.1", "type"),
        ([{"stream": "creatures"}, {"stream": "creatures"}], "streams.1.stream", "duplicate"),
    ],
)
def test_a_patch_must_leave_streams_with_different_names(
    world: World, streams: Any, field: str, code: str
) -> None:
    pipeline = create_pipeline(world)
    answer = world.client().patch(f"{URL}/{pipeline['id']}", {"config": {"streams": streams}})
    assert error_codes(answer) == {field: code}


def test_validating_a_valid_pipeline_creates_nothing(world: World) -> None:
    body = {"name": "Flights", "config": config(), "schedule": "0 0 * * *"}
    answer = world.client().post(f"{URL}/validate", body)
    assert (answer.json()["valid"], answer.json()["errors"]) == (True, [])
    assert [item["field"] for item in answer.json()["unchecked"]] == [
        "streams"
    ]  # nobody has listed them
    assert world.client().get(URL).json()["count"] == 0


def test_a_pipeline_uses_the_settings_of_its_connector(world: World) -> None:
    connector = make_connector(world, config={"rows": 7})
    pipeline = create_pipeline(
        world,
        config=config(
            {"primary_key": ["id"]}, connector_id=str(connector.pk), kind=None, config=None
        ),
    )
    assert pipeline["config"]["source"]["kind"] == "dummy"
    assert pipeline["config"]["source"]["config"] is None
    source = engine_source(world, pipeline["id"])
    assert (source.config, source.primary_key) == ({"rows": 7}, ("id",))


def test_a_connector_of_another_org_or_role_is_unknown(world: World, stranger: World) -> None:
    foreign_connector = make_connector(stranger)
    destination = make_connector(world, role="destination", kind="logger")
    for pk in (foreign_connector.pk, destination.pk):
        definition = config(connector_id=str(pk), config=None, kind=None)
        answer = world.client().post(URL, {"name": "x", "config": definition})
        assert error_codes(answer) == {"source.connector_id": "unknown"}


def test_a_connector_cannot_be_combined_with_inline_settings_or_another_kind(world: World) -> None:
    connector = make_connector(world)
    answer = world.client().post(
        URL, {"name": "x", "config": config(connector_id=str(connector.pk))}
    )
    assert error_codes(answer) == {"source.config": "ambiguous"}
    config_of_other_kind = config(connector_id=str(connector.pk), config=None, kind="postgres")
    answer = world.client().post(URL, {"name": "x", "config": config_of_other_kind})
    assert error_codes(answer) == {"source.kind": "mismatch"}


def test_an_inline_secret_is_masked_for_users_and_stays_stored_for_the_engine(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_secret())
    masked_password = {"set": True, "last4": "3k9z"}
    assert pipeline["config"]["source"]["config"]["password"] == masked_password
    client = world.client()
    path = f"{URL}/{pipeline['id']}"
    patched = client.patch(path, {"config": {"source": {"config": {"database": "store"}}}})
    assert patched.status_code == 200, patched.content
    assert patched.json()["version"] == 2
    masked_config = patched.json()["config"]
    assert masked_config["source"]["config"]["database"] == "store"
    replaced = client.put(path, {"name": "Flights", "config": masked_config})
    assert replaced.status_code == 200, replaced.content
    assert replaced.json()["version"] == 2
    assert engine_source(world, pipeline["id"]).config["password"] == PASSWORD


def test_a_changed_host_requires_the_inline_secret_again(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_secret())
    path = f"{URL}/{pipeline['id']}"
    for change in ({"host": "evil.example.net"}, {"port": 1}):
        answer = world.client().patch(path, {"config": {"source": {"config": change}}})
        assert error_codes(answer) == {"source.config.password": "secret_required"}
    changed_config = pipeline["config"]
    changed_config["source"]["config"]["host"] = "evil.example.net"
    answer = world.client().put(path, {"name": "x", "config": changed_config})
    assert error_codes(answer) == {"source.config.password": "secret_required"}


def test_changing_the_kind_removes_the_old_settings_and_secrets(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_secret())
    source, streams = {"kind": "dummy", "config": {}}, [{"stream": "generated"}]
    changes = {"config": {"source": source, "streams": streams}}
    answer = world.client().patch(f"{URL}/{pipeline['id']}", changes)
    assert answer.status_code == 200, answer.content
    assert answer.json()["config"]["source"]["config"] == {}
    assert engine_source(world, pipeline["id"]).config == {}


def test_a_patch_can_replace_inline_settings_by_a_connector_and_a_connector_by_inline_settings(
    world: World,
) -> None:
    connector = make_connector(world, config={"rows": 7})
    pipeline = create_pipeline(world)
    path = f"{URL}/{pipeline['id']}"
    with_connector = world.client().patch(
        path, {"config": {"source": {"connector_id": str(connector.pk)}}}
    )
    assert with_connector.status_code == 200, with_connector.content
    assert with_connector.json()["config"]["source"]["config"] is None
    with_inline_settings = world.client().patch(
        path, {"config": {"source": {"kind": "dummy", "config": {"rows": 3}}}}
    )
    assert with_inline_settings.status_code == 200, with_inline_settings.content
    assert with_inline_settings.json()["config"]["source"]["connector_id"] is None
    assert engine_source(world, pipeline["id"]).config == {"rows": 3}


def test_a_second_pipeline_with_the_same_name_is_rejected(world: World) -> None:
    create_pipeline(world)
    answer = world.client().post(URL, {"name": "FLIGHTS", "config": config()})
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_every_change_increases_the_etag_and_a_stale_if_match_is_rejected(world: World) -> None:
    pipeline = create_pipeline(world)
    client = world.client()
    path = f"{URL}/{pipeline['id']}"
    first = client.patch(path, {"tags": ["a"]}, headers={"If-Match": '"1"'})
    assert first.headers["ETag"] == '"2"'
    assert client.patch(path, {"tags": ["a"]}).headers["ETag"] == '"2"'
    assert client.put(path, {"name": "x", "config": config()}, headers={"If-Match": '"1"'}).status_code == 412  # fmt: skip
    assert client.delete(path, headers={"If-Match": '"1"'}).status_code == 412


def test_a_put_resets_omitted_fields(world: World) -> None:
    pipeline = create_pipeline(
        world, tags=["a"], schedule="0 0 * * *", description="d", max_attempts=5
    )
    answer = world.client().put(f"{URL}/{pipeline['id']}", {"name": "Flights", "config": config()})
    body = answer.json()
    assert (body["tags"], body["schedule"], body["description"]) == ([], None, "")
    assert (body["max_attempts"], body["version"]) == (3, 1)


def test_a_copy_is_disabled_has_a_new_name_and_does_not_change_with_the_original(
    world: World,
) -> None:
    pipeline = create_pipeline(world, config=config_with_secret(), schedule="0 0 * * *", tags=["a"])
    client = world.client()
    first_copy = client.post(f"{URL}/{pipeline['id']}/duplicate", {}).json()
    second_copy = client.post(f"{URL}/{pipeline['id']}/duplicate", {}).json()
    named_copy = client.post(f"{URL}/{pipeline['id']}/duplicate", {"name": "Mine"}).json()
    assert [first_copy["name"], second_copy["name"], named_copy["name"]] == [
        "Flights (copy)",
        "Flights (copy 2)",
        "Mine",
    ]
    assert (first_copy["enabled"], first_copy["next_run_at"]) == (False, None)
    assert (first_copy["schedule"]["cron"], first_copy["tags"]) == ("0 0 * * *", ["a"])
    client.patch(f"{URL}/{pipeline['id']}", {"config": {"source": {"config": {"password": "new"}}}})
    assert engine_source(world, first_copy["id"]).config["password"] == PASSWORD


def test_disabling_removes_the_next_run_and_enabling_plans_it_again(world: World) -> None:
    pipeline = create_pipeline(world, schedule="0 0 * * *")
    client = world.client()
    disabled = client.post(f"{URL}/{pipeline['id']}/disable", {}).json()
    assert (disabled["enabled"], disabled["next_run_at"]) == (False, None)
    enabled = client.post(f"{URL}/{pipeline['id']}/enable", {}).json()
    assert enabled["enabled"] is True
    assert enabled["next_run_at"] == pipeline["next_run_at"]
    assert client.post(f"{URL}/{pipeline['id']}/enable", {}).headers["ETag"] == '"3"'


def test_deleting_a_pipeline_deletes_its_versions_and_runs(world: World) -> None:
    pipeline = make_pipeline(world, schedule="0 0 * * *")
    with world.scope():
        run = Run.unscoped.create(
            org=world.org, pipeline=pipeline, version=1, status="succeeded", trigger="manual"
        )
    assert world.client().delete(f"{URL}/{pipeline.pk}").status_code == 204
    with world.scope():
        assert not Run.objects.for_org(world.org).filter(pk=run.pk).exists()
        assert not PipelineVersion.objects.for_org(world.org).exists()


def test_a_pipeline_with_an_active_run_cannot_be_deleted(world: World) -> None:
    pipeline = make_pipeline(world)
    with world.scope():
        Pipeline.objects.for_org(world.org).update(last_run_id=new_id(), last_run_status="running")
    answer = world.client().delete(f"{URL}/{pipeline.pk}")
    assert (answer.status_code, answer.json()["code"]) == (409, "run_in_progress")


def test_saving_a_stale_pipeline_does_not_overwrite_its_last_run(world: World) -> None:
    pipeline = make_pipeline(world)
    with world.scope():
        stale_pipeline = Pipeline.objects.for_org(world.org).get()
        Pipeline.objects.for_org(world.org).update(
            last_run_id=new_id(), last_run_status="succeeded", last_run_finished_at=timezone.now()
        )
        stale_pipeline.name = "New"
        services._save(stale_pipeline)
    saved = world.client().get(f"{URL}/{pipeline.pk}").json()
    assert (saved["name"], saved["last_run"]["status"]) == ("New", "succeeded")


def test_every_change_is_audited_with_masked_secrets(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_secret())
    client = world.client()
    path = f"{URL}/{pipeline['id']}"
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


def test_a_pipeline_can_belong_to_a_domain_of_its_org_only(world: World, stranger: World) -> None:
    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Marketing")
    with stranger.scope():
        foreign_domain = Domain.unscoped.create(org=stranger.org, name="Theirs")
    pipeline = create_pipeline(world, domain_id=str(domain.pk))
    assert pipeline["domain"] == {"id": str(domain.pk), "name": "Marketing"}
    answer = world.client().patch(f"{URL}/{pipeline['id']}", {"domain_id": str(foreign_domain.pk)})
    assert error_codes(answer) == {"domain_id": "unknown"}
    cleared = world.client().patch(f"{URL}/{pipeline['id']}", {"domain_id": None})
    assert cleared.json()["domain"] is None


def test_limits_of_a_stream_are_stored_if_they_differ_from_their_defaults(world: World) -> None:
    pipeline = create_pipeline(world, config=config({"allow_empty": False}))
    path = f"{URL}/{pipeline['id']}"
    limits = {"allow_empty", "max_rejected_share"}
    assert not limits & pipeline["config"]["streams"][0].keys()

    def change(**values: Any) -> Any:
        return world.client().patch(path, {"config": {"streams": [values]}})

    stream = change(allow_empty=True, max_rejected_share=0.01).json()["config"]["streams"][0]
    assert (stream["allow_empty"], stream["max_rejected_share"]) == (True, 0.01)
    kept = change(table="others").json()["config"]["streams"][0]
    assert (kept["allow_empty"], kept["max_rejected_share"]) == (True, 0.01)
    removed = change(allow_empty=False, max_rejected_share=0).json()["config"]["streams"][0]
    assert not limits & removed.keys()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("allow_empty", "yes", "type"),
        ("allow_empty", 1, "type"),
        ("max_rejected_share", -0.1, "invalid"),
        ("max_rejected_share", 1.1, "invalid"),
        ("max_rejected_share", True, "invalid"),
        ("max_rejected_share", "1", "invalid"),
    ],
)
def test_an_invalid_limit_is_refused_with_its_path(
    world: World, name: str, value: Any, code: str
) -> None:
    answer = world.client().post(URL, {"name": "x", "config": config({name: value})})
    assert error_codes(answer) == {f"streams.0.{name}": code}
