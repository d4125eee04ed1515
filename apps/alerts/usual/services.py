"""The usual ranges of a pipeline, for charts."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict
from uuid import UUID

from django.utils import timezone

from apps.alerts.usual.bands import Band, usual_band
from apps.alerts.usual.history import history
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.visibility import find_pipeline
from apps.runs.models import ORDINARY_RUNS, Run


class UsualDay(TypedDict):
    """The ranges on a weekday, from 1, Monday. None if there are too few runs."""

    weekday: int
    seconds: Band | None
    records: Band | None


class Usual(TypedDict):
    timezone: str  # of the weekdays
    runs: int  # runs behind the ranges
    weekdays: list[UsualDay]


def describe(*, org: Org, by: Principal, pipeline_id: UUID, sensitivity: str) -> Usual:
    """Return the ranges with which the next run at the time of day of the newest one is compared. Raises NotFound."""
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    runs = Run.objects.for_org(org).filter(ORDINARY_RUNS, pipeline=pipeline)
    newest = runs.order_by("-created_at", "-id").values_list("created_at", flat=True).first()
    at = newest + timedelta(seconds=1) if newest else timezone.now()
    found = history(org_id=org.pk, pipeline_id=pipeline.pk, version=pipeline.version, at=at)
    return {
        "timezone": found.timezone,
        "runs": len(found.records),
        "weekdays": [
            {
                "weekday": day + 1,
                "seconds": usual_band(found.seconds, day, sensitivity=sensitivity),
                "records": usual_band(found.records, day, sensitivity=sensitivity),
            }
            for day in range(7)
        ],
    }
