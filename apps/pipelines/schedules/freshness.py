"""Freshness: whether a pipeline delivers what its schedule promises.

Three columns of a pipeline decide it, so a list of pipelines needs no runs. apps.runs sets them when an ordinary run ends;
a chunk of a backfill and a replay change nothing, because they do not read the newest records.

- `last_success_at`: the end of the last ordinary run that succeeded.
- `failing_since`: the end of the first failure after that. It is null if the last run succeeded. A cancelled run says
  nothing about the data, so it changes nothing.
- `late_at`: when the pipeline becomes late, unless a run succeeds before. It is the first scheduled time after the last
  success plus an allowance. If the schedule was created, changed, enabled or resumed later, it counts from then on. It is
  null without a schedule, and while the pipeline is disabled or its schedule is paused.

docs/reference/freshness.md describes the freshness that follows from these columns, and the allowance.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

from apps.pipelines.models import Pipeline, Schedule
from apps.pipelines.schedules.blackouts import end_of_blackout
from apps.pipelines.schedules.times import ScheduleLike, next_times

FRESHNESS = ("failing", "late", "fresh", "none")  # the most urgent first
SAVED_FIELDS = ("last_success_at", "last_success_seconds", "failing_since", "late_at")
MIN_ALLOWANCE = timedelta(minutes=10)
MAX_HALF_INTERVAL = timedelta(hours=2)

# The freshness of the row `p` of pipelines_pipeline. All queries use this expression, so all answers agree.
FRESHNESS_SQL = """CASE
    WHEN NOT p.enabled THEN 'none'
    WHEN p.failing_since IS NOT NULL THEN 'failing'
    WHEN p.late_at <= now() THEN 'late'
    WHEN p.late_at IS NOT NULL AND p.last_success_at IS NOT NULL THEN 'fresh'
    ELSE 'none' END"""


def compute_late_at(
    schedule: ScheduleLike,
    *,
    after: datetime,
    jitter_seconds: int = 0,
    last_duration: timedelta = timedelta(0),
) -> datetime | None:
    """Return when a pipeline with this active schedule is late, if no run succeeds after `after`.

    It is None if the schedule has no time after `after`.
    """
    slots = next_times(schedule, after, 2)
    if not slots:
        return None
    half_interval = (slots[-1] - slots[0]) / 2
    allowance = max(MIN_ALLOWANCE, min(half_interval, MAX_HALF_INTERVAL), 2 * last_duration)
    allowance += timedelta(seconds=jitter_seconds)
    end = end_of_blackout(schedule, slots[0] + allowance)
    return (end or slots[0]) + allowance


def late_at(pipeline: Pipeline, schedule: Schedule | None, *, after: datetime) -> datetime | None:
    """Return `late_at` of the pipeline. `after` is its last success, or a later change of its schedule."""
    if schedule is None or not pipeline.enabled or schedule.paused_at is not None:
        return None
    return compute_late_at(
        schedule,
        after=after,
        jitter_seconds=schedule.jitter_seconds,
        last_duration=timedelta(seconds=pipeline.last_success_seconds or 0),
    )


def restart(pipeline: Pipeline, schedule: Schedule | None) -> None:
    """Store `late_at` after a change of the schedule: what was due before does not count any more."""
    pipeline.late_at = late_at(pipeline, schedule, after=timezone.now())
    rows = Pipeline.objects.for_org(pipeline.org_id).filter(pk=pipeline.pk)
    rows.update(late_at=pipeline.late_at)


def record_success(
    pipeline: Pipeline, schedule: Schedule | None, *, at: datetime, duration: timedelta
) -> None:
    """Set the columns for a run that has succeeded. The caller has locked the row, and saves it."""
    pipeline.last_success_at, pipeline.failing_since = at, None
    pipeline.last_success_seconds = max(0, int(duration.total_seconds()))
    pipeline.late_at = late_at(pipeline, schedule, after=at)


def freshness_of(pipeline: Pipeline) -> str:
    """Return the freshness of the stored pipeline."""
    return freshness_by_id(pipeline.org_id, [pipeline.pk])[pipeline.pk]


def freshness_by_id(org_id: UUID, pipeline_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the freshness of each of these pipelines, by one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT p.id, {FRESHNESS_SQL} FROM pipelines_pipeline p WHERE p.org_id = %s AND p.id = ANY(%s)",  # noqa: S608 - a constant
            [org_id, list(pipeline_ids)],
        )
        return dict(cursor.fetchall())
