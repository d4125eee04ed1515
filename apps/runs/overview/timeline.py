"""The runs of the last 24 hours, for a timeline by pipeline."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from django.db.models import Case, Count, F, QuerySet, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.models import Pipeline
from apps.runs.models import LIVE, Run
from apps.runs.visibility import runs

LAST_DAY = timedelta(hours=24)
MAX_RUNS = 2000
COLUMNS = ("id", "pipeline_id", "pipeline__name", "status", "start", "finished_at", "records_written")  # fmt: skip


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
    q: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[str, Any]:
    """Return the runs of a part of the last 24 hours: the live ones, and those that have ended, the newest first.

    If there are too many, return all runs of as many pipelines as possible, the most urgent pipelines first. Makes
    four queries at most.
    """
    now = timezone.now()
    since, until = max(since or now - LAST_DAY, now - LAST_DAY), until or now
    rows = runs(org, by).filter(created_at__lt=until)
    if domain is not None:
        rows = rows.filter(pipeline__domain_id=domain)
    if q:
        rows = rows.filter(pipeline__name__icontains=q)
    live = rows.filter(status__in=LIVE if status is None else [s for s in LIVE if s == status])
    ended = rows.filter(finished_at__gte=since)
    ended = ended.exclude(status__in=LIVE) if status is None else ended.filter(status=status)
    pipelines = _most_urgent_pipelines(org, ended)
    if pipelines is not None:
        ended = ended.filter(pipeline_id__in=pipelines)
    found = [*_newest(live), *_newest(ended)]
    has_more = pipelines is not None or len(found) > MAX_RUNS
    return _render(found[:MAX_RUNS], has_more=has_more)


def _newest(rows: QuerySet[Run]) -> list[dict[str, Any]]:
    newest = rows.order_by(F("finished_at").desc(nulls_first=True), "-id")
    started = newest.annotate(start=Coalesce("started_at", "created_at"))
    return list(started[: MAX_RUNS + 1].values(*COLUMNS))


def _most_urgent_pipelines(org: Org, ended: QuerySet[Run]) -> list[UUID] | None:
    """Return pipelines that have together at most MAX_RUNS of these runs: failing ones, then live and late ones first.

    Return None if all pipelines together have no more than that. The runs are counted without a join, because there can be
    tens of thousands.
    """
    counts = dict(ended.order_by().values_list("pipeline_id").annotate(count=Count("id")))
    if sum(counts.values()) <= MAX_RUNS:
        return None
    urgency = Case(
        When(enabled=True, failing_since__isnull=False, then=0),
        When(last_run_status__in=LIVE, then=1),
        When(late_at__lte=timezone.now(), then=2),
        default=3,
    )
    most_urgent = Pipeline.objects.for_org(org).order_by(urgency, "name", "id")
    pipelines: list[UUID] = []
    left = MAX_RUNS
    for pipeline_id in most_urgent.values_list("pk", flat=True):
        left -= counts.get(pipeline_id, 0)
        if left < 0 and pipelines:
            break
        if pipeline_id in counts:
            pipelines.append(pipeline_id)
    return pipelines


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
        "start": row["start"],
        "end": row["finished_at"],
        "records": row["records_written"],
    }
