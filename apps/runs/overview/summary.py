"""The first page: counts, what needs attention, the queue, and the volume and duration of each hour of the last day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Avg, Count, F, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncHour
from django.utils import timezone

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.schedules.freshness import FRESHNESS, FRESHNESS_SQL
from apps.runs.models import LIVE, Run, Status
from apps.runs.overview import attention
from apps.runs.overview.attention import Item
from apps.runs.overview.timeline import LAST_DAY
from apps.runs.queries import waiting_runs
from apps.runs.visibility import runs

HOURS = 24
MAX_QUEUED = 50


def summarize(org: Org, by: Principal) -> dict[str, Any]:
    """Return everything that the first page shows, except the timeline. The number of queries is constant."""
    rows = runs(org, by)
    hours = _read_hours(rows)
    live = rows.filter(status__in=LIVE).aggregate(
        running=Count("id", filter=Q(status=Status.RUNNING)),
        waiting=Count("id", filter=Q(status=Status.PENDING)),
    )
    queue = waiting_runs(rows, org_id=org.pk, limit=MAX_QUEUED)
    items, has_more = attention.find_items(org, by)
    return {
        **_total(hours),
        **live,
        "waiting_reason": queue[0]["waiting_reason"] if queue else None,
        "freshness": _count_freshness(org, by),
        "attention": [_render(item) for item in items],
        "attention_has_more": has_more,
        "queue": queue,
        "hours": hours[1:],
    }


def _total(hours: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the runs that ended in the last 24 hours."""
    names = ("succeeded", "failed", "cancelled", "records")
    counts = {name: sum(hour[name] for hour in hours) for name in names}
    succeeded, failed = counts["succeeded"], counts["failed"]
    return {
        **counts,
        "runs": succeeded + failed + counts["cancelled"],
        "success_rate": round(succeeded / (succeeded + failed), 4) if succeeded + failed else None,
    }


def _count_freshness(org: Org, by: Principal) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {FRESHNESS_SQL}, count(*) FROM pipelines_pipeline p "  # noqa: S608 - a constant
            "WHERE p.org_id = %(org)s AND (%(domain)s::uuid IS NULL OR p.domain_id = %(domain)s) GROUP BY 1",
            {"org": org.pk, "domain": by.only_domain},
        )
        counts = dict(cursor.fetchall())
    return {name: counts.get(name, 0) for name in FRESHNESS}


def _render(item: Item) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "id": str(item.id),
        "name": item.name,
        "cause": item.cause,
        "since": item.since,
        "pipeline_id": item.pipeline_id,
        "run_id": item.run_id,
        "failure_class": item.failure_class or None,
        "retrying": item.retrying,
        "fixes": [{"action": fix.action, "id": fix.id, "name": fix.name} for fix in item.fixes],
    }


def _read_hours(rows: QuerySet[Run]) -> list[dict[str, Any]]:
    """Return the runs that ended in the last 24 hours by the hour, the oldest first: 25 hours, of which the first one is
    the part before the last 24 hours on the clock."""
    now = timezone.now()
    this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    succeeded = Q(status=Status.SUCCEEDED)
    duration = F("finished_at") - F("started_at")
    found = (
        rows.filter(finished_at__gte=now - LAST_DAY)
        .order_by()
        .annotate(hour=TruncHour("finished_at", tzinfo=UTC))
        .values("hour")
        .annotate(
            succeeded=Count("id", filter=succeeded),
            failed=Count("id", filter=Q(status=Status.FAILED)),
            cancelled=Count("id", filter=Q(status=Status.CANCELLED)),
            records=Sum("records_written", filter=succeeded),
            bytes=Sum("bytes", filter=succeeded),
            average=Avg(duration, filter=succeeded),
            longest=Max(duration, filter=succeeded),
        )
    )
    by_hour = {row["hour"]: row for row in found}
    starts = [this_hour - timedelta(hours=n) for n in range(HOURS, -1, -1)]
    return [_render_hour(start, by_hour.get(start, {})) for start in starts]


def _render_hour(start: datetime, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "start": start,
        "succeeded": row.get("succeeded", 0),
        "failed": row.get("failed", 0),
        "cancelled": row.get("cancelled", 0),
        "records": row.get("records") or 0,
        "bytes": row.get("bytes") or 0,
        "average_seconds": _seconds(row.get("average")),
        "longest_seconds": _seconds(row.get("longest")),
    }


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else round(duration.total_seconds(), 3)
