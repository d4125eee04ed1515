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
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.runs.models import Run
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
