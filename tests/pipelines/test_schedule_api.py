"""Schedules over HTTP can be given as text, changed, paused with a note, and previewed."""

from __future__ import annotations

from typing import Any

from apps.orgs.roles import Role
from apps.pipelines.models import Schedule
from apps.pipelines.schedules.blackouts import WEEKDAYS
from tests.pipelines.test_pipelines import URL, create_pipeline, error_codes
from tests.world import World


def patch_schedule(world: World, pipeline: dict[str, Any], schedule: Any) -> Any:
    return world.client().patch(f"{URL}/{pipeline['id']}", {"schedule": schedule})


def test_a_schedule_given_as_text_is_a_cron_expression_in_utc(world: World) -> None:
    schedule = create_pipeline(world, schedule="0  */6 * * *")["schedule"]
    assert (schedule["cron"], schedule["timezone"]) == ("0 */6 * * *", "UTC")
    assert (schedule["overlap"], schedule["misfire"]) == ("skip", "run_once")


def test_a_patch_of_a_schedule_changes_only_the_given_fields(world: World) -> None:
    pipeline = create_pipeline(world, schedule={"cron": "0 9 * * *", "timezone": "Asia/Tokyo"})
    changed = patch_schedule(world, pipeline, {"overlap": "queue"}).json()["schedule"]
    assert (changed["cron"], changed["timezone"], changed["overlap"]) == (
        "0 9 * * *",
        "Asia/Tokyo",
        "queue",
    )
    with_interval = patch_schedule(world, pipeline, {"interval_seconds": 3600}).json()["schedule"]
    assert (with_interval["cron"], with_interval["interval_seconds"]) == (None, 3600)
    without_schedule = patch_schedule(world, pipeline, None).json()
    assert (without_schedule["schedule"], without_schedule["next_run_at"]) == (None, None)
    with world.scope():
        assert not Schedule.objects.for_org(world.org).exists()


def test_a_pause_has_a_note_and_an_author_and_stays_when_the_schedule_changes(world: World) -> None:
    pipeline = create_pipeline(world, schedule="0 0 * * *")
    client = world.client()
    paused = client.post(f"{URL}/{pipeline['id']}/schedule/pause", {"note": "new server"}).json()
    assert paused["next_run_at"] is None
    assert paused["schedule"]["paused_note"] == "new server"
    assert paused["schedule"]["paused_by"]["id"] == str(world.users[Role.MEMBER].pk)
    changed = patch_schedule(world, pipeline, "0 1 * * *").json()
    assert (changed["next_run_at"], changed["schedule"]["paused_note"]) == (None, "new server")
    (row,) = client.get(URL).json()["results"]
    assert row["schedule"]["paused_note"] == "new server"
    resumed = client.post(f"{URL}/{pipeline['id']}/schedule/resume", {}).json()
    assert resumed["next_run_at"].endswith("T01:00:00Z")
    assert resumed["schedule"]["paused_by"] is None


def test_resuming_the_schedule_of_a_disabled_pipeline_plans_no_run(world: World) -> None:
    pipeline = create_pipeline(world, schedule="0 0 * * *", enabled=False)
    assert pipeline["next_run_at"] is None
    client = world.client()
    client.post(f"{URL}/{pipeline['id']}/schedule/pause", {})
    resumed = client.post(f"{URL}/{pipeline['id']}/schedule/resume", {}).json()
    assert resumed["next_run_at"] is None


def test_pausing_resuming_or_previewing_without_a_schedule_is_a_conflict(world: World) -> None:
    pipeline = create_pipeline(world)
    for path, method in (("pause", "post"), ("resume", "post"), ("preview", "get")):
        answer = getattr(world.client(), method)(f"{URL}/{pipeline['id']}/schedule/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_schedule")


def test_a_preview_shows_the_same_times_for_an_unsaved_and_a_saved_schedule(world: World) -> None:
    viewer_client = world.client(Role.VIEWER)
    schedule = {"cron": "0 */6 * * *", "timezone": "Asia/Kathmandu"}
    unsaved = viewer_client.post(
        "/api/v1/schedules/preview", {"schedule": schedule, "count": 4}
    ).json()
    assert len(unsaved["times"]) == 4
    assert unsaved["timezone"] == "Asia/Kathmandu"
    assert all(time.endswith(":15:00Z") for time in unsaved["times"])
    pipeline = create_pipeline(world, schedule=schedule)
    saved = viewer_client.get(f"{URL}/{pipeline['id']}/schedule/preview", {"count": 4}).json()
    assert saved == unsaved
    assert pipeline["next_run_at"] == saved["times"][0]


def test_a_preview_says_which_times_the_next_changes_of_the_clocks_move(world: World) -> None:
    body = {"schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, "count": 1}
    answer = world.client(Role.VIEWER).post("/api/v1/schedules/preview", body).json()
    changes = {change["kind"]: change for change in answer["clock_changes"]}
    assert set(changes) == {"skipped", "repeated"}  # each year has one of each
    assert "02:30 does not exist on" in changes["skipped"]["in_words"]
    assert changes["skipped"]["runs_at"].endswith("T01:00:00Z")
    assert changes["repeated"]["local_times"][0].endswith("T02:30:00")
    utc = {"schedule": "30 2 * * *", "count": 1}
    no_changes = world.client(Role.VIEWER).post("/api/v1/schedules/preview", utc).json()
    assert no_changes["clock_changes"] == []


def test_words_are_read_as_a_schedule_with_its_next_times(world: World) -> None:
    client = world.client(Role.VIEWER)

    def read(words: str, **options: Any) -> Any:
        return client.post(
            "/api/v1/schedules/words", {"words": words, "count": 3, **options}
        ).json()

    found = read("weekdays at 7:30 in Berlin")
    assert found["schedule"] == {"cron": "30 7 * * 1-5", "timezone": "Europe/Berlin"}
    assert found["in_words"] == "Weekdays at 07:30 (Europe/Berlin)"
    assert len(found["times"]) == 3
    assert read("0 6 * * *", timezone="Asia/Tokyo")["schedule"]["timezone"] == "Asia/Tokyo"
    for words in ("daily at 6 UTC", "0 6 * * * UTC"):
        assert read(words, timezone="Asia/Tokyo")["schedule"]["timezone"] == "UTC"
    assert read("every 2 hours")["schedule"] == {"interval_seconds": 7200, "timezone": "UTC"}
    assert read("by hand") == {"schedule": None, "in_words": "Manual", "times": []}


def test_words_that_are_no_schedule_are_refused_with_examples(world: World) -> None:
    answer = world.client().post("/api/v1/schedules/words", {"words": "now and then"})
    assert error_codes(answer) == {"words": "invalid"}
    assert "weekdays at 7:30 in Berlin" in answer.json()["errors"][0]["message"]


def test_an_unknown_time_zone_of_words_names_the_field_that_was_sent(world: World) -> None:
    for words in ("daily at 6", "every 3 hours", "by hand", "daily at 6 in Berlin"):
        body = {"words": words, "timezone": "Mars/Olympus"}
        answer = world.client().post("/api/v1/schedules/words", body)
        assert error_codes(answer) == {"timezone": "unknown"}


def test_a_preview_of_an_invalid_schedule_names_the_field(world: World) -> None:
    client = world.client(Role.VIEWER)

    def preview_errors(schedule: Any) -> dict[str, str]:
        return error_codes(client.post("/api/v1/schedules/preview", {"schedule": schedule}))

    assert preview_errors("0 0 0 * * *") == {"schedule.cron": "invalid"}
    assert preview_errors({"cron": "0 0 * * *", "timezone": "CET2"}) == {
        "schedule.timezone": "unknown"
    }
    assert preview_errors({"cron": "0 0 * * *", "timezone": "../etc/passwd"}) == {
        "schedule.timezone": "unknown"
    }
    answer = client.post("/api/v1/schedules/preview", {"schedule": "0 0 * * *", "count": 101})
    assert error_codes(answer) == {"count": "max_value"}


def test_blackouts_and_an_end_date_are_saved_kept_and_removed(world: World) -> None:
    nights = {"weekdays": ["friday", "monday"], "start": "22:00", "end": "06:00"}
    timing = {"cron": "0 23 * * *", "timezone": "UTC"}
    schedule = {**timing, "blackouts": [nights], "end_date": "2199-12-31"}
    pipeline = create_pipeline(world, schedule=schedule)
    stored = [{**nights, "weekdays": ["monday", "friday"]}]
    assert pipeline["schedule"]["blackouts"] == stored
    (row,) = world.client(Role.VIEWER).get(URL).json()["results"]
    assert (row["schedule"]["blackouts"], row["schedule"]["end_date"]) == (stored, "2199-12-31")
    kept = patch_schedule(world, pipeline, {"overlap": "queue"}).json()["schedule"]
    assert (kept["blackouts"], kept["end_date"]) == (stored, "2199-12-31")
    copy = world.client().post(f"{URL}/{pipeline['id']}/duplicate", {}).json()["schedule"]
    assert (copy["blackouts"], copy["end_date"]) == (stored, "2199-12-31")
    removed = patch_schedule(world, pipeline, {"blackouts": [], "end_date": None}).json()
    assert (removed["schedule"]["blackouts"], removed["schedule"]["end_date"]) == ([], None)


def test_a_preview_names_the_times_at_which_a_blackout_ends(world: World) -> None:
    window = {"weekdays": ["monday"], "start": "00:00", "end": "18:00"}
    schedule = {"cron": "0 12 * * *", "timezone": "UTC", "blackouts": [window]}
    body = {"schedule": schedule, "count": 7}
    answer = world.client(Role.VIEWER).post("/api/v1/schedules/preview", body).json()
    assert [time[11:16] for time in answer["times"]].count("18:00") == 1
    (after,) = answer["after_blackout"]
    assert after in answer["times"]
    assert after.endswith("T18:00:00Z")


def test_invalid_blackouts_and_end_dates_name_their_field(world: World) -> None:
    def errors(**fields: Any) -> dict[str, str]:
        schedule = {"cron": "0 23 * * *", **fields}
        return error_codes(world.client().post("/api/v1/schedules/preview", {"schedule": schedule}))

    days = {"weekdays": [], "start": "22:00", "end": "06:00"}
    assert errors(blackouts=[days]) == {"schedule.blackouts.0.weekdays": "invalid"}
    assert errors(end_date="tomorrow") == {"schedule.end_date": "invalid"}
    each_night = {**days, "weekdays": list(WEEKDAYS)}
    assert errors(blackouts=[each_night], misfire="skip") == {"schedule.blackouts": "invalid"}
    schedule = {"cron": "0 23 * * *", "blackouts": [each_night], "misfire": "run_once"}
    moved = world.client().post("/api/v1/schedules/preview", {"schedule": schedule})
    assert moved.status_code == 200, moved.content
