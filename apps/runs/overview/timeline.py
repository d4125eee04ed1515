"""The runs of the last 24 hours, for a timeline by pipeline."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.runs.models import LIVE, Run, Status
from apps.runs.visibility import runs

LAST_DAY = timedelta(hours=24)
MAX_RUNS = 2000
COLUMNS = (
    "id", "pipeline_id", "pipeline__name", "status", "created_at", "started_at", "finished_at", "records_written",
)  # fmt: skip


class TimelineRun(TypedDict):
    """A run. `pipeline` is the position of its pipeline in the list of pipelines."""

    id: UUID
    pipeline: int
    status: str
    start: datetime
    end: datetime | None
    records: int


def read_timeline(
    *,
    org: Org,
    by: Principal,
    status: str | None = None,
    domain: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[str, Any]:
    """Return the runs of a part of the last 24 hours: the live ones, and the newest of those that have ended.

    Makes two queries at most.
    """
    now = timezone.now()
    since, until = max(since or now - LAST_DAY, now - LAST_DAY), until or now
    rows = runs(org, by).filter(created_at__lt=until)
    if domain is not None:
        rows = rows.filter(pipeline__domain_id=domain)
    found = _live_runs(rows, status) if status in {None, *LIVE} else []
    if status not in LIVE:
        ended = rows.filter(finished_at__gte=since)
        if status is not None:
            ended = ended.filter(status=status)
        newest = ended.order_by("-finished_at", "-id")[: MAX_RUNS + 1]
        found += newest.values(*COLUMNS)
    return _render(found[:MAX_RUNS], has_more=len(found) > MAX_RUNS)


def _live_runs(rows: QuerySet[Run], status: str | None) -> list[dict[str, Any]]:
    live = rows.filter(status__in=LIVE if status is None else [Status(status)])
    return list(live.order_by("-created_at", "-id")[: MAX_RUNS + 1].values(*COLUMNS))


def _render(found: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    names = {row["pipeline_id"]: row["pipeline__name"] for row in found}
    ids = sorted(names, key=lambda pipeline_id: (names[pipeline_id], pipeline_id))
    positions = {pipeline_id: position for position, pipeline_id in enumerate(ids)}
    return {
        "pipelines": [{"id": pipeline_id, "name": names[pipeline_id]} for pipeline_id in ids],
        "runs": [_render_run(row, positions[row["pipeline_id"]]) for row in found],
        "has_more": has_more,
    }


def _render_run(row: dict[str, Any], position: int) -> TimelineRun:
    return {
        "id": row["id"],
        "pipeline": position,
        "status": row["status"],
        "start": row["started_at"] or row["created_at"],
        "end": row["finished_at"],
        "records": row["records_written"],
    }
