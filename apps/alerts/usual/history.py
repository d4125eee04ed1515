"""The earlier runs with which a run of a pipeline is compared.

They are ordinary runs of the last DAYS days that have succeeded, and that were created at about the same time of day: up to
RUNS_OF_DAY on each day. So a pipeline that runs each hour is compared with this hour of other days. If there are too few,
the newest runs at any time of day count. If the definition of the pipeline was changed, only the runs of its newest version
count, as soon as there are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from apps.alerts.usual.bands import MIN_RUNS, Sample
from apps.pipelines.models import Schedule

DAYS = 56
RUNS_OF_DAY = 4
NEWEST_RUNS = 60
# For each day, the index (pipeline, -created_at, -id) finds the runs within 90 minutes of the time of day.
SAME_TIME_OF_DAY = """
    SELECT r.created_at, r.version, extract(epoch FROM r.finished_at - r.started_at)::float8, r.records_written
    FROM generate_series(0, %(days)s) AS d (days)
    CROSS JOIN LATERAL (SELECT %(at)s::timestamptz - make_interval(hours => 24 * d.days) AS at) t
    CROSS JOIN LATERAL (
        SELECT * FROM runs_run
        WHERE org_id = %(org)s AND pipeline_id = %(pipeline)s AND status = 'succeeded' AND created_at < %(at)s
        AND created_at BETWEEN t.at - interval '90 minutes' AND t.at + interval '90 minutes'
        AND backfill_id IS NULL AND trigger <> 'replay' AND started_at IS NOT NULL
        ORDER BY abs(extract(epoch FROM created_at - t.at)) LIMIT %(runs)s
    ) r
"""
NEWEST = """
    SELECT created_at, version, extract(epoch FROM finished_at - started_at)::float8, records_written FROM runs_run
    WHERE org_id = %(org)s AND pipeline_id = %(pipeline)s AND status = 'succeeded' AND created_at < %(at)s
    AND created_at > %(at)s::timestamptz - make_interval(days => %(days)s)
    AND backfill_id IS NULL AND trigger <> 'replay' AND started_at IS NOT NULL
    ORDER BY created_at DESC LIMIT %(runs)s
"""

Row = tuple[datetime, int, float, int]  # created_at, version, seconds, records


@dataclass(frozen=True, slots=True)
class History:
    """Samples of both values, with the weekday of the run itself."""

    seconds: Sequence[Sample]
    records: Sequence[Sample]
    weekday: int
    timezone: str


def history(*, org_id: UUID, pipeline_id: UUID, version: int, at: datetime) -> History:
    """Return the runs with which one of this version, created at this time, is compared."""
    schedules = Schedule.objects.for_org(org_id).filter(pipeline_id=pipeline_id)
    timezone = schedules.values_list("timezone", flat=True).first() or "UTC"
    zone = ZoneInfo(timezone)
    place: dict[str, Any] = {"org": org_id, "pipeline": pipeline_id, "at": at, "days": DAYS}
    rows = _fetch(SAME_TIME_OF_DAY, {**place, "runs": RUNS_OF_DAY})
    if len(rows) < MIN_RUNS:
        rows = _fetch(NEWEST, {**place, "runs": NEWEST_RUNS})
    of_version = [row for row in rows if row[1] == version]
    if len(of_version) >= MIN_RUNS:
        rows = of_version
    days = [row[0].astimezone(zone).weekday() for row in rows]
    return History(
        seconds=[Sample(row[2], day) for row, day in zip(rows, days, strict=True)],
        records=[Sample(row[3], day) for row, day in zip(rows, days, strict=True)],
        weekday=at.astimezone(zone).weekday(),
        timezone=timezone,
    )


def _fetch(statement: str, values: dict[str, Any]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
