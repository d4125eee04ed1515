"""The charts of a pipeline: its newest runs, its days, and what was changed before it began to fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline, PipelineVersion, Schedule
from apps.runs.models import Run
from apps.runs.statistics.freshness import EndedRun, over_time
from tests.world import World


def add_run(
    world: World, pipeline: Pipeline, status: str, created_at: datetime, **fields: Any
) -> Run:
    with world.scope():
        values = {"version": 1, "trigger": "schedule", "records_written": 10, **fields}
        run: Run = Run.unscoped.create(
            org=world.org,
            pipeline=pipeline,
            status=status,
            started_at=created_at,
            finished_at=created_at + timedelta(seconds=5),
            **values,
        )
        Run.objects.for_org(world.org).filter(pk=run.pk).update(created_at=created_at)
    return run


@pytest.fixture
def noon() -> datetime:
    """The noon of yesterday in UTC."""
    return (timezone.now() - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)


def read(world: World, pipeline: Pipeline, **query: Any) -> dict[str, Any]:
    answer = world.client(Role.VIEWER).get(f"/api/v1/stats/pipelines/{pipeline.pk}", query)
    assert answer.status_code == 200, answer.content
    statistics: dict[str, Any] = answer.json()
    return statistics


def test_the_newest_ordinary_runs_are_returned_oldest_first(
    world: World, pipeline: Pipeline, noon: datetime
) -> None:
    runs = [add_run(world, pipeline, "succeeded", noon + timedelta(minutes=i)) for i in range(5)]
    add_run(world, pipeline, "succeeded", noon + timedelta(hours=1), trigger="replay")

    statistics = read(world, pipeline, runs=3)

    assert [row["id"] for row in statistics["runs"]] == [str(run.pk) for run in runs[2:]]
    assert statistics["runs"][0]["records"] == 10
    assert statistics["failing"] is None


def test_days_begin_at_midnight_in_the_time_zone_of_the_reader(
    world: World, pipeline: Pipeline, noon: datetime
) -> None:
    late = noon.replace(hour=23, minute=30)
    add_run(world, pipeline, "succeeded", noon)
    add_run(world, pipeline, "failed", late, records_written=0)
    add_run(world, pipeline, "succeeded", noon - timedelta(days=400))

    in_utc, in_tokyo = read(world, pipeline)["days"], read(world, pipeline, timezone="Asia/Tokyo")

    day = noon.date()
    assert in_utc == [
        {"date": str(day), "succeeded": 1, "failed": 1, "cancelled": 0, "records": 10}
    ]
    assert [row["date"] for row in in_tokyo["days"]] == [str(day), str(day + timedelta(days=1))]
    wrong = world.client().get(
        f"/api/v1/stats/pipelines/{pipeline.pk}", {"timezone": "../../etc/passwd"}
    )
    assert wrong.status_code == 400


def test_the_versions_saved_before_the_first_failure_are_named_with_their_author(
    world: World, pipeline: Pipeline, noon: datetime
) -> None:
    add_run(world, pipeline, "succeeded", noon)
    first = add_run(world, pipeline, "failed", noon + timedelta(hours=1))
    add_run(world, pipeline, "failed", noon + timedelta(hours=2))
    author = world.users[Role.MEMBER]
    with world.scope():
        first_version = PipelineVersion.objects.for_org(world.org).get(number=1)
        for number, minutes in ((2, -5), (3, 50), (4, 90)):
            PipelineVersion.unscoped.create(
                org=world.org,
                pipeline=pipeline,
                number=number,
                definition=first_version.definition,
                created_by=author,
            )
            PipelineVersion.objects.for_org(world.org).filter(number=number).update(
                created_at=noon + timedelta(minutes=minutes)
            )

    failing = read(world, pipeline)["failing"]

    assert failing["first_failure_id"] == str(first.pk)
    assert failing["failures"] == 2
    assert [(v["number"], v["author"]) for v in failing["versions"]] == [(3, author.name)]


def test_a_strangers_pipeline_is_unknown(world: World, stranger: World, pipeline: Pipeline) -> None:
    foreign = stranger.client().get(f"/api/v1/stats/pipelines/{pipeline.pk}")
    unknown = stranger.client().get(f"/api/v1/stats/pipelines/{uuid4()}")

    assert (foreign.status_code, foreign.content) == (404, unknown.content)


def test_the_number_of_queries_does_not_depend_on_the_number_of_runs(
    world: World, pipeline: Pipeline, noon: datetime
) -> None:
    client, path = world.client(), f"/api/v1/stats/pipelines/{pipeline.pk}"
    add_schedule(world, pipeline)
    add_run(world, pipeline, "succeeded", noon)
    add_run(world, pipeline, "failed", noon + timedelta(minutes=1))
    client.get(path)
    with CaptureQueriesContext(connection) as few:
        client.get(path)
    for number in range(20):
        add_run(world, pipeline, "failed", noon + timedelta(hours=1, minutes=number))
    with CaptureQueriesContext(connection) as many:
        client.get(path)

    assert len(many) == len(few)


def test_the_calendar_begins_on_a_monday_half_a_year_ago(world: World, pipeline: Pipeline) -> None:
    since = datetime.fromisoformat(read(world, pipeline)["since"]).replace(tzinfo=UTC)

    assert since.weekday() == 0
    assert timedelta(weeks=25) <= timezone.now() - since <= timedelta(weeks=26)


def add_schedule(world: World, pipeline: Pipeline, **values: Any) -> None:
    """An hourly schedule. With runs of five seconds, data is late 30 minutes after a scheduled time."""
    with world.scope():
        Schedule.unscoped.create(
            org=world.org, pipeline=pipeline, cron="0 * * * *", timezone="UTC", **values
        )


def test_freshness_is_that_at_the_end_of_each_run_and_now(
    world: World, pipeline: Pipeline, noon: datetime
) -> None:
    add_schedule(world, pipeline)
    hour = timedelta(hours=1)
    add_run(world, pipeline, "succeeded", noon)
    add_run(world, pipeline, "succeeded", noon + hour)
    add_run(world, pipeline, "cancelled", noon + 1.5 * hour)  # says nothing about the data
    add_run(world, pipeline, "succeeded", noon + 3 * hour)
    add_run(world, pipeline, "failed", noon + 4 * hour)
    add_run(world, pipeline, "succeeded", noon + 5 * hour)

    freshness = read(world, pipeline)["freshness"]

    points = [(p["freshness"], p["age_seconds"]) for p in freshness["points"][:-1]]
    assert points == [
        ("none", None),
        ("fresh", 3600),
        ("late", 7200),
        ("failing", 3600),
        ("failing", 7200),
    ]
    # From 12:00:05, the next scheduled time is 13:00, and the data is late at 13:30.
    assert freshness["points"][1]["late_after_seconds"] == 5395
    assert read(world, pipeline, runs=2)["freshness"]["points"][0]["age_seconds"] == 3600


def test_the_last_point_has_the_freshness_that_the_pipeline_shows(
    world: World, pipeline: Pipeline, noon: datetime
) -> None:
    add_schedule(world, pipeline)
    add_run(world, pipeline, "succeeded", noon)
    now = timezone.now()
    with world.scope():
        row = Pipeline.objects.for_org(world.org).filter(pk=pipeline.pk)
        for expected, values in {
            "fresh": {"last_success_at": noon, "late_at": now + timedelta(hours=1)},
            "late": {"late_at": now - timedelta(hours=1)},
            "failing": {"failing_since": now},
        }.items():
            row.update(**values)
            shown = world.client().get(f"/api/v1/pipelines/{pipeline.pk}").json()["freshness"]
            last = read(world, pipeline)["freshness"]["points"][-1]
            assert last["freshness"] == shown == expected


def test_the_share_of_fresh_time_counts_from_the_first_run(
    world: World, pipeline: Pipeline, noon: datetime
) -> None:
    add_schedule(world, pipeline)
    ended = [
        EndedRun(has_succeeded=True, started_at=None, finished_at=noon + timedelta(hours=hours))
        for hours in (0, 1, 4)
    ]
    now = noon + timedelta(hours=5)
    with world.scope():
        schedule = Schedule.objects.for_org(world.org).get(pipeline=pipeline)
        pipeline.last_success_at, pipeline.late_at = ended[-1]["finished_at"], now + timedelta(1)
        found = over_time(pipeline, schedule, ended, earlier=None, now=now)
    # Fresh from 12:00 to 13:00, from 13:00 to 14:30, when a run is missed, and from 16:00 to 17:00.
    assert found is not None
    assert found["fresh_share"] == pytest.approx(3.5 / 5)


@pytest.mark.parametrize("case", ["none", "paused", "disabled"])
def test_without_an_active_schedule_nothing_is_fresh_or_late(
    world: World, pipeline: Pipeline, noon: datetime, case: str
) -> None:
    add_run(world, pipeline, "succeeded", noon)
    if case != "none":
        add_schedule(world, pipeline, paused_at=noon if case == "paused" else None)
    if case == "disabled":
        with world.scope():
            Pipeline.objects.for_org(world.org).filter(pk=pipeline.pk).update(enabled=False)
    assert read(world, pipeline)["freshness"] is None
