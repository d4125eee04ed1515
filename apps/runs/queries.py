"""Queries on runs that several views use."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from apps.runs.claiming import admission
from apps.runs.models import Run, Status
from apps.runs.snapshots import COLUMNS

TODAY = timedelta(hours=24)


def filtered(rows: Any, wanted: dict[str, Any]) -> QuerySet[Run, dict[str, Any]]:
    """Filter these runs for the list; `wanted` has the validated query parameters."""
    for parameter, lookup in (
        ("pipeline", "pipeline_id"),
        ("domain", "pipeline__domain_id"),
        ("status", "status"),
        ("trigger", "trigger"),
        ("since", "created_at__gte"),
        ("until", "created_at__lt"),
    ):
        if parameter in wanted:
            rows = rows.filter(**{lookup: wanted[parameter]})
    found: QuerySet[Run, dict[str, Any]] = rows.values(*COLUMNS)
    return found


def overview(runs: Any, *, org_id: UUID) -> dict[str, Any]:
    """Summarize the runs of an org: those that ended in the last 24 hours, running ones, and waiting ones with
    reasons.
    """
    day = Q(finished_at__gte=timezone.now() - TODAY)
    live = Q(status__in=(Status.PENDING, Status.RUNNING))
    rows = runs.filter(day | live)
    counts = rows.aggregate(
        **{str(status): Count("id", filter=day & Q(status=status)) for status in Status},
        records=Sum("records_written", filter=day & Q(status=Status.SUCCEEDED)),
        now_running=Count("id", filter=Q(status=Status.RUNNING)),
        now_waiting=Count("id", filter=Q(status=Status.PENDING)),
    )
    good, bad = counts["succeeded"], counts["failed"]
    return {
        "runs": good + bad + counts["cancelled"],
        "succeeded": good,
        "failed": bad,
        "cancelled": counts["cancelled"],
        "success_rate": round(good / (good + bad), 4) if good + bad else None,
        "records": counts["records"] or 0,
        "running": counts["now_running"],
        "waiting": counts["now_waiting"],
        "waiting_reason": _first_reason(runs, org_id) if counts["now_waiting"] else None,
    }


def _first_reason(runs: Any, org_id: UUID) -> str | None:
    """Return why the first run in the queue is waiting."""
    first = (
        runs.filter(status=Status.PENDING)
        .order_by("created_at", "id")
        .values("id", "not_before", "attempt")[:1]
    )
    explained: dict[UUID, admission.Waiting] = admission.explain(org_id, first)
    return next((waiting.reason for waiting in explained.values()), None)
