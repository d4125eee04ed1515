"""The queue of an org: what runs now, which runs wait, in which order, and why."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Min, Q
from django.utils import timezone

from apps.background.health import has_living_worker
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.runs.models import LIVE, Status
from apps.runs.queries import running_runs, waiting_runs
from apps.runs.visibility import runs

MAX_SHOWN = 100  # running runs, and waiting ones


def read_queue(org: Org, by: Principal) -> dict[str, Any]:
    """Return the live runs that the principal can see. The number of queries is constant."""
    rows = runs(org, by)
    running, waiting = Q(status=Status.RUNNING), Q(status=Status.PENDING)
    is_due = Q(not_before=None) | Q(not_before__lte=timezone.now())
    counts = rows.filter(status__in=LIVE).aggregate(
        running=Count("id", filter=running),
        waiting=Count("id", filter=waiting),
        waiting_since=Min("created_at", filter=waiting & is_due),
        workers=Count("worker", filter=running, distinct=True),
    )
    return {
        **counts,
        "max_running": org.max_running,
        "has_worker": has_living_worker(),
        "running_runs": running_runs(rows, org_id=org.pk, limit=MAX_SHOWN),
        "waiting_runs": waiting_runs(rows, org_id=org.pk, limit=MAX_SHOWN),
    }
