"""Schedules over HTTP: shorthand, merge, pause with a note, preview."""

from __future__ import annotations

from typing import Any

from apps.orgs.roles import Role
from apps.pipelines.models import Schedule
from tests.pipelines.test_pipelines import URL, create, fields
from tests.world import World


def patch(world: World, made: dict[str, Any], schedule: Any) -> Any:
    return world.client().patch(f"{URL}/{made['id']}", {"schedule": schedule})


def test_a_plain_text_is_a_cron_in_utc(world: World) -> None:
    schedule = create(world, schedule="0  */6 * * *")["schedule"]
    assert (schedule["cron"], schedule["timezone"]) == ("0 */6 * * *", "UTC")
    assert (schedule["overlap"], schedule["misfire"]) == ("skip", "run_once")


def test_a_patch_changes_only_what_it_names(world: World) -> None:
    made = create(world, schedule={"cron": "0 9 * * *", "timezone": "Asia/Tokyo"})
    changed = patch(world, made, {"overlap": "queue"}).json()["schedule"]
    assert (changed["cron"], changed["timezone"], changed["overlap"]) == (
        "0 9 * * *",
        "Asia/Tokyo",
        "queue",
    )
    every = patch(world, made, {"interval_seconds": 3600}).json()["schedule"]
    assert (every["cron"], every["interval_seconds"]) == (None, 3600)
    gone = patch(world, made, None).json()
    assert (gone["schedule"], gone["next_run_at"]) == (None, None)
    with world.scope():
        assert not Schedule.objects.for_org(world.org).exists()


def test_a_pause_has_a_note_and_an_author_and_outlives_a_new_plan(world: World) -> None:
    made = create(world, schedule="0 0 * * *")
    client = world.client()
    paused = client.post(f"{URL}/{made['id']}/schedule/pause", {"note": "moving house"}).json()
    assert paused["next_run_at"] is None
    assert paused["schedule"]["paused_note"] == "moving house"
    assert paused["schedule"]["paused_by"]["id"] == str(world.users[Role.MEMBER].pk)
    changed = patch(world, made, "0 1 * * *").json()
    assert (changed["next_run_at"], changed["schedule"]["paused_note"]) == (None, "moving house")
    (row,) = client.get(URL).json()["results"]
    assert row["schedule"]["paused_note"] == "moving house"
    resumed = client.post(f"{URL}/{made['id']}/schedule/resume", {}).json()
    assert resumed["next_run_at"].endswith("T01:00:00Z")
    assert resumed["schedule"]["paused_by"] is None


def test_a_disabled_pipeline_that_resumes_stays_unplanned(world: World) -> None:
    made = create(world, schedule="0 0 * * *", enabled=False)
    assert made["next_run_at"] is None
    client = world.client()
    client.post(f"{URL}/{made['id']}/schedule/pause", {})
    resumed = client.post(f"{URL}/{made['id']}/schedule/resume", {}).json()
    assert resumed["next_run_at"] is None


def test_pausing_without_a_schedule_is_a_conflict(world: World) -> None:
    made = create(world)
    for path, method in (("pause", "post"), ("resume", "post"), ("preview", "get")):
        answer = getattr(world.client(), method)(f"{URL}/{made['id']}/schedule/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_schedule")


def test_the_next_times_are_shown_before_and_after_saving(world: World) -> None:
    viewer = world.client(Role.VIEWER)
    schedule = {"cron": "0 */6 * * *", "timezone": "Asia/Kathmandu"}
    unsaved = viewer.post("/api/v1/schedules/preview", {"schedule": schedule, "count": 4}).json()
    assert len(unsaved["times"]) == 4
    assert unsaved["timezone"] == "Asia/Kathmandu"
    assert all(time.endswith(":15:00Z") for time in unsaved["times"])
    made = create(world, schedule=schedule)
    saved = viewer.get(f"{URL}/{made['id']}/schedule/preview", {"count": 4}).json()
    assert saved == unsaved
    assert made["next_run_at"] == saved["times"][0]


def test_a_bad_schedule_to_preview_names_its_field(world: World) -> None:
    client = world.client(Role.VIEWER)

    def errors(schedule: Any) -> dict[str, str]:
        return fields(client.post("/api/v1/schedules/preview", {"schedule": schedule}))

    assert errors("0 0 0 * * *") == {"schedule.cron": "invalid"}
    assert errors({"cron": "0 0 * * *", "timezone": "CET2"}) == {"schedule.timezone": "unknown"}
    assert errors({"cron": "0 0 * * *", "timezone": "../etc/passwd"}) == {
        "schedule.timezone": "unknown"
    }
    answer = client.post("/api/v1/schedules/preview", {"schedule": "0 0 * * *", "count": 101})
    assert fields(answer) == {"count": "max_value"}
