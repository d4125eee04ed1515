"""Tools for pipelines: show, change, run and delete."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from apps.agent.tools.shown_changes import shown_changes
from apps.orgs.exceptions import Invalid, PermissionMissing
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from apps.runs.models import Run
from tests.agent.tools.use import card, context_of, error_code, use
from tests.world import World, make_connector, make_pipeline

SECRET = "hunter2-hunter2"
POSTGRES = {
    "host": "db.example.com",
    "database": "shop",
    "user": "reader",
    "password": SECRET,
}
WRITES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("update_pipeline", {"timeout_seconds": 60}),
    ("delete_pipeline", {}),
    ("run_pipeline", {}),
    ("set_pipeline_enabled", {"enabled": False}),
    ("set_schedule_paused", {"paused": True}),
    ("restore_pipeline_version", {"number": 1}),
    ("backfill_streams", {"streams": ["generated"]}),
    ("set_file_watch", {"enabled": False, "minutes": 10}),
    ("create_hook", {"name": "Shop"}),
    ("decide_source_changes", {"change_ids": [str(UUID(int=1))], "decision": "ignore"}),
)
each_write = pytest.mark.parametrize(("name", "arguments"), WRITES)


def count_rows(world: World, model: Any) -> int:
    with world.scope():
        return int(model.objects.for_org(world.org).count())


def test_a_pipeline_is_shown_with_its_schedule_in_words_and_without_secrets(world: World) -> None:
    config = {
        "source": {"kind": "postgres", "config": POSTGRES},
        "streams": [{"stream": "public.orders"}],
        "destination": {"kind": "logger", "config": {}},
    }
    pipeline = make_pipeline(world, name="orders", config=config, schedule="0 6 * * 1-5")
    answer = use(world, "show_pipeline", Role.VIEWER, pipeline_id=str(pipeline.pk))

    assert answer.content["schedule_in_words"] == "Weekdays at 06:00 (UTC)"
    assert len(answer.content["next_times"]) == 3
    assert SECRET not in str(answer.content)
    assert answer.links == ({"label": "orders", "path": f"/pipelines/{pipeline.pk}"},)


def test_the_card_of_a_change_shows_the_difference_and_changes_nothing(world: World) -> None:
    pipeline = make_pipeline(world, name="flights", schedule="0 6 * * *")
    changes = {
        "schedule": {"interval_seconds": 21600},
        "timeout_seconds": 7200,
        "streams": [{"table": "all_flights"}],
    }
    shown = card(world, "update_pipeline", pipeline_id=str(pipeline.pk), **changes)

    assert shown["changes"] == [
        {"field": "schedule", "before": "Daily at 06:00 (UTC)", "after": "Every 6 hours"},
        {"field": "streams.0.table", "before": "generated", "after": "all_flights"},
        {"field": "timeout_seconds", "before": 21600, "after": 7200},
    ]
    assert {"label": "Schedule after the change", "value": "Every 6 hours"} in shown["facts"]  # type: ignore[operator]
    with world.scope():
        pipeline.refresh_from_db()
    assert (pipeline.version, pipeline.timeout_seconds) == (1, 21600)


def test_a_change_of_blackouts_and_of_the_last_day_is_shown_in_words(world: World) -> None:
    windows = [{"weekdays": ["saturday"], "start": "22:00", "end": "06:00"}]
    schedule = {"cron": "0 6 * * *", "blackouts": windows}
    pipeline = make_pipeline(world, name="flights", schedule=schedule)
    days = {"first_day": "2026-12-24", "last_day": "2026-12-26"}
    change = {"blackouts": [*windows, days], "misfire": "skip", "end_date": "2099-06-30"}
    ids: Any = {"pipeline_id": str(pipeline.pk)}
    shown: Any = card(world, "update_pipeline", **ids, schedule=change)
    changes = {each["field"]: (each["before"], each["after"]) for each in shown["changes"]}
    saturday = "Saturday from 22:00 to 06:00"
    assert changes == {
        "schedule": ("Daily at 06:00 (UTC)", "Daily at 06:00 (UTC) until 30 June 2099"),
        "schedule.blackouts": ([saturday], [saturday, "24 December 2026 to 26 December 2026"]),
        "schedule.misfire": ("run_once", "skip"),
    }

    use(world, "update_pipeline", **ids, schedule=change)
    use(world, "update_pipeline", **ids, schedule={"cron": "0 7 * * *"})
    saved = world.client(Role.VIEWER).get(f"/api/v1/pipelines/{pipeline.pk}").json()["schedule"]
    assert (saved["cron"], saved["blackouts"]) == ("0 7 * * *", [*windows, days])
    assert (saved["misfire"], saved["end_date"]) == ("skip", "2099-06-30")

    use(world, "update_pipeline", **ids, schedule={"blackouts": []})
    saved = world.client(Role.VIEWER).get(f"/api/v1/pipelines/{pipeline.pk}").json()["schedule"]
    assert saved["blackouts"] == []


def test_an_error_in_a_blackout_names_its_argument(world: World) -> None:
    pipeline = make_pipeline(world, schedule="0 6 * * *")
    blackouts = [{"weekdays": ["monday"], "start": "25:00", "end": "06:00"}]
    schedule = {"blackouts": blackouts}
    answer = use(world, "update_pipeline", pipeline_id=str(pipeline.pk), schedule=schedule)
    (field,) = answer.content["error"]["fields"]
    assert field["field"] == "schedule.blackouts.0.start"


def test_a_change_is_made_for_the_member_and_the_audit_log_names_the_agent(world: World) -> None:
    pipeline = make_pipeline(world, name="flights")
    answer = use(world, "update_pipeline", pipeline_id=str(pipeline.pk), name="all flights")

    assert answer.summary == "Changed the name of the pipeline all flights."
    with world.scope():
        event = AuditEvent.objects.for_org(world.org).get(action="pipeline.update")
    represented = event.on_behalf_of or {}
    assert event.actor_kind == "agent"
    assert represented["id"] == str(world.users[Role.MEMBER].pk)


def test_the_summary_of_a_change_names_the_fields_in_words(world: World) -> None:
    pipeline = make_pipeline(world, name="flights", schedule="0 6 * * *")
    changes: dict[str, Any] = {
        "schedule": {"interval_seconds": 21600, "timezone": "Europe/Berlin"},
        "timeout_seconds": 7200,
        "streams": [{"table": "all_flights"}],
    }
    answer = use(world, "update_pipeline", pipeline_id=str(pipeline.pk), **changes)
    changed = "the schedule, the table, the time limit of a run"
    assert answer.summary == f"Changed {changed} of the pipeline flights."


def test_the_card_shows_another_time_zone_of_an_interval_although_its_words_stay(
    world: World,
) -> None:
    pipeline = make_pipeline(world, name="flights", schedule={"interval_seconds": 3600})
    schedule = {"interval_seconds": 3600, "timezone": "Europe/Berlin"}
    shown = card(world, "update_pipeline", pipeline_id=str(pipeline.pk), schedule=schedule)
    assert shown["changes"] == [
        {"field": "schedule.timezone", "before": "UTC", "after": "Europe/Berlin"}
    ]


@pytest.mark.parametrize(
    ("tool", "arguments", "field"),
    [
        ("set_pipeline_enabled", {"enabled": True}, "enabled"),
        ("set_schedule_paused", {"paused": False}, "paused"),
    ],
)
def test_nobody_is_asked_to_approve_what_changes_nothing(
    world: World, tool: str, arguments: dict[str, Any], field: str
) -> None:
    pipeline = make_pipeline(world, name="flights", schedule="0 6 * * *")
    with pytest.raises(Invalid, match="nothing would change") as refusal:
        card(world, tool, pipeline_id=str(pipeline.pk), **arguments)
    assert [(path, code) for path, _, code in refusal.value.errors] == [(field, "unchanged")]


def test_a_second_pause_shows_the_other_note_as_its_change(world: World) -> None:
    pipeline = make_pipeline(world, name="flights", schedule="0 6 * * *")
    arguments: dict[str, Any] = {"pipeline_id": str(pipeline.pk), "paused": True}
    use(world, "set_schedule_paused", **arguments, note="Move")
    shown = card(world, "set_schedule_paused", **arguments, note="Holidays")
    assert shown["changes"] == [
        {"field": "schedule.paused_note", "before": "Move", "after": "Holidays"}
    ]


def test_the_card_names_connectors_and_says_what_happens_at_the_same_time(world: World) -> None:
    pipeline = make_pipeline(world, name="flights", schedule="0 6 * * *")
    source = make_connector(world, name="Airports")
    changes: dict[str, Any] = {
        "schedule": {"overlap": "cancel_other"},
        "source_connector_id": str(source.pk),
    }
    shown: Any = card(world, "update_pipeline", pipeline_id=str(pipeline.pk), **changes)
    by_field = {change["field"]: change for change in shown["changes"]}
    assert by_field["source.connector_id"]["after"] == f"Airports ({source.kind})"
    assert by_field["schedule.overlap"]["before"] == "Skip the new run"
    assert by_field["schedule.overlap"]["after"] == "Cancel the run before"
    assert str(source.pk) not in str(shown["changes"])


def test_a_connector_of_another_org_has_no_name_in_a_card(world: World, stranger: World) -> None:
    foreign = make_connector(stranger, name="Secret shop")
    change: Any = {
        "field": "source.connector_id",
        "before": str(foreign.pk),
        "after": None,
        "secret": False,
    }
    with world.scope():
        (shown,) = shown_changes(context_of(world), [change])
    assert shown["before"] == "A connector that you cannot see, or that was deleted"


def test_an_error_of_the_service_names_the_argument(world: World) -> None:
    pipeline = make_pipeline(world, name="flights")
    streams = [{"sync_mode": "incremental", "cursor_field": "no_such_column"}]
    arguments: Any = {"pipeline_id": str(pipeline.pk), "streams": streams}
    fields = use(world, "update_pipeline", **arguments).content["error"]["fields"]
    assert [field["field"].partition(".")[0] for field in fields] == ["streams"]


def test_the_card_shows_a_removed_schedule_in_words(world: World) -> None:
    pipeline = make_pipeline(world, name="flights", schedule="0 6 * * *")
    shown = card(world, "update_pipeline", pipeline_id=str(pipeline.pk), schedule=None)
    assert {"field": "schedule", "before": "Daily at 06:00 (UTC)", "after": "Manual"} in shown[
        "changes"
    ]  # type: ignore[operator]


@pytest.mark.parametrize("changes", [{}, {"name": "flights"}])
def test_a_change_of_nothing_is_refused(world: World, changes: dict[str, Any]) -> None:
    pipeline = make_pipeline(world, name="flights")

    with pytest.raises(Invalid):
        card(world, "update_pipeline", pipeline_id=str(pipeline.pk), **changes)


def test_an_error_names_the_field_and_what_was_sent(world: World) -> None:
    pipeline = make_pipeline(world)
    answer = use(world, "update_pipeline", pipeline_id=str(pipeline.pk), timeout_seconds=1)

    (field,) = answer.content["error"]["fields"]
    assert field["field"] == "timeout_seconds"
    assert "10" in field["message"]
    assert "sent: 1" in field["message"]


def test_a_pipeline_is_deleted_after_a_card_that_warns(world: World) -> None:
    pipeline = make_pipeline(world, name="flights")
    shown = card(world, "delete_pipeline", pipeline_id=str(pipeline.pk))
    assert "cannot be undone" in str(shown["warnings"])
    assert count_rows(world, Pipeline) == 1

    assert use(world, "delete_pipeline", pipeline_id=str(pipeline.pk)).ok
    assert count_rows(world, Pipeline) == 0


def test_the_card_of_a_run_starts_no_run(world: World) -> None:
    pipeline = make_pipeline(world, name="flights")
    shown = card(world, "run_pipeline", pipeline_id=str(pipeline.pk))
    assert shown["title"] == "Run the pipeline flights now"
    assert count_rows(world, Run) == 0

    answer = use(world, "run_pipeline", pipeline_id=str(pipeline.pk))
    assert answer.links[0]["path"] == f"/runs/{answer.content['run_id']}"
    assert count_rows(world, Run) == 1


def test_a_disabled_pipeline_runs_only_with_force(world: World) -> None:
    pipeline = make_pipeline(world, enabled=False)

    assert not use(world, "run_pipeline", pipeline_id=str(pipeline.pk)).ok
    assert use(world, "run_pipeline", pipeline_id=str(pipeline.pk), force=True).ok


@each_write
def test_a_stranger_finds_nothing_to_write(
    world: World, stranger: World, name: str, arguments: dict[str, Any]
) -> None:
    pipeline = make_pipeline(world)

    assert error_code(use(stranger, name, pipeline_id=str(pipeline.pk), **arguments)) == "not_found"


def test_a_stranger_finds_nothing_to_read(world: World, stranger: World) -> None:
    pipeline = make_pipeline(world)

    assert error_code(use(stranger, "show_pipeline", pipeline_id=str(pipeline.pk))) == "not_found"


@each_write
def test_a_viewer_may_not_write(world: World, name: str, arguments: dict[str, Any]) -> None:
    pipeline = make_pipeline(world)
    answer = use(world, name, Role.VIEWER, pipeline_id=str(pipeline.pk), **arguments)

    assert error_code(answer) == "not_allowed"
    with pytest.raises(PermissionMissing):
        card(world, name, Role.VIEWER, pipeline_id=str(pipeline.pk), **arguments)
