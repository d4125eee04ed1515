"""What the charts of a pipeline's page show: its newest runs, its days, and what was changed before it began to fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.history import services as history
from apps.pipelines.models import Pipeline
from apps.pipelines.schedules.services import schedule_of
from apps.pipelines.visibility import find_pipeline
from apps.runs import visibility
from apps.runs.models import ENDED, ORDINARY_RUNS, Run, Status
from apps.runs.statistics import freshness
from apps.runs.statistics.freshness import EndedRun, FreshnessOverTime

MAX_RUNS = 100
WEEKS = 26
MAX_VERSIONS = 5


class ChartedRun(TypedDict):
    """A run in a chart. A run that has not started has no duration."""

    id: UUID
    status: str
    trigger: str
    version: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    records: int
    rejected: int
    failure_class: str | None


class Day(TypedDict):
    """The runs that were created on a day."""

    date: date
    succeeded: int
    failed: int
    cancelled: int
    records: int


class NewVersion(TypedDict):
    number: int
    created_at: datetime
    author: str | None


class FailureStart(TypedDict):
    """When the pipeline began to fail. `versions` are the newest ones between the last success and the first failure."""

    last_success_at: datetime
    first_failure_id: UUID
    first_failure_at: datetime
    failures: int
    versions: list[NewVersion]


@dataclass(frozen=True, slots=True)
class PipelineStatistics:
    """The newest runs, oldest first; the days with runs of the last weeks; and since when the pipeline fails, if it does.

    `freshness` is that of the newest runs; None without an active schedule.
    """

    runs: list[ChartedRun]
    days: list[Day]
    since: date
    failing: FailureStart | None
    freshness: FreshnessOverTime | None


def describe(
    *, org: Org, by: Principal, pipeline_id: UUID, zone: ZoneInfo, limit: int
) -> PipelineStatistics:
    """Return the statistics of a pipeline. Days begin at midnight in this time zone. Raises NotFound.

    Chunks of backfills and replays are left out, because their records and durations are not those of an ordinary run.
    """
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    runs = visibility.runs(org, by).filter(ORDINARY_RUNS, pipeline=pipeline)
    since, newest = _first_day(zone), _newest_runs(runs, limit)
    return PipelineStatistics(
        runs=newest,
        days=_days(runs, since, zone),
        since=since,
        failing=_failure_start(org, by, pipeline_id, runs),
        freshness=_freshness(org, pipeline, newest, runs),
    )


def _freshness(
    org: Org, pipeline: Pipeline, newest: list[ChartedRun], runs: QuerySet[Run]
) -> FreshnessOverTime | None:
    """Return the freshness at the end of the newest runs. Makes two queries: for the schedule and the success before them."""
    if not newest:
        return None
    before = runs.filter(status=Status.SUCCEEDED, created_at__lt=newest[0]["created_at"])
    earlier = before.order_by("-created_at", "-id").values("status", "started_at", "finished_at")
    return freshness.over_time(
        pipeline,
        schedule_of(org, pipeline),
        [ended for run in newest if (ended := _ended(run))],
        earlier=next((ended for row in earlier[:1] if (ended := _ended(row))), None),
        now=timezone.now(),
    )


def _ended(run: Mapping[str, Any]) -> EndedRun | None:
    """Return the run if it has succeeded or failed. A cancelled run says nothing about the data."""
    if run["status"] not in {Status.SUCCEEDED, Status.FAILED} or run["finished_at"] is None:
        return None
    return {
        "has_succeeded": run["status"] == Status.SUCCEEDED,
        "started_at": run["started_at"],
        "finished_at": run["finished_at"],
    }


def _first_day(zone: ZoneInfo) -> date:
    """Return the Monday with which the calendar begins."""
    today = timezone.now().astimezone(zone).date()
    return today - timedelta(days=today.weekday(), weeks=WEEKS - 1)


def _newest_runs(runs: QuerySet[Run], limit: int) -> list[ChartedRun]:
    rows = runs.order_by("-created_at", "-id").values(
        "id", "status", "trigger", "version", "created_at", "started_at", "finished_at",
        "records_written", "records_rejected", "failure_class",
    )[:limit]  # fmt: skip
    return [_charted(row) for row in reversed(rows)]


def _charted(row: Mapping[str, Any]) -> ChartedRun:
    return {
        "id": row["id"],
        "status": row["status"],
        "trigger": row["trigger"],
        "version": row["version"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "records": row["records_written"],
        "rejected": row["records_rejected"],
        "failure_class": row["failure_class"] or None,
    }


def _days(runs: QuerySet[Run], since: date, zone: ZoneInfo) -> list[Day]:
    start = datetime(since.year, since.month, since.day, tzinfo=zone)
    rows = (
        runs.filter(created_at__gte=start, status__in=ENDED)
        .annotate(day=TruncDate("created_at", tzinfo=zone))
        .values("day")
        .annotate(
            succeeded=Count("id", filter=Q(status=Status.SUCCEEDED)),
            failed=Count("id", filter=Q(status=Status.FAILED)),
            cancelled=Count("id", filter=Q(status=Status.CANCELLED)),
            records=Sum("records_written"),
        )
        .order_by("day")
    )
    return [
        {
            "date": row["day"],
            "succeeded": row["succeeded"],
            "failed": row["failed"],
            "cancelled": row["cancelled"],
            "records": row["records"],
        }
        for row in rows
    ]


def _failure_start(
    org: Org, by: Principal, pipeline_id: UUID, runs: QuerySet[Run]
) -> FailureStart | None:
    """Return when the pipeline began to fail. None if it does not fail, or has never succeeded."""
    last_success = runs.filter(status=Status.SUCCEEDED).aggregate(at=Max("created_at"))["at"]
    if last_success is None:
        return None
    failures = runs.filter(status=Status.FAILED, created_at__gt=last_success)
    facts = failures.aggregate(count=Count("id"), first=Min("created_at"))
    if not facts["count"]:
        return None
    first = failures.order_by("created_at", "id").values_list("id", flat=True)[0]
    versions = (
        history.list_versions(org=org, by=by, pipeline_id=pipeline_id)
        .filter(created_at__gt=last_success, created_at__lte=facts["first"])
        .order_by("-number")[:MAX_VERSIONS]
    )
    return {
        "last_success_at": last_success,
        "first_failure_id": first,
        "first_failure_at": facts["first"],
        "failures": facts["count"],
        "versions": [
            {
                "number": version.number,
                "created_at": version.created_at,
                "author": (version.created_by.name or version.created_by.email)
                if version.created_by
                else None,
            }
            for version in versions
        ],
    }
