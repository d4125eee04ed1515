"""What the newest successful run of a pipeline tells about the next one: how long it takes, and how much it reads."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet

from apps.orgs.models import Org
from apps.runs.models import ORDINARY_RUNS, Run, RunStream, Status


def last_duration(org: Org, pipeline_id: UUID) -> timedelta | None:
    """Return how long the newest successful run of the pipeline has taken, or None if there is none."""
    run = _newest_success(org, pipeline_id).first()
    if run is None or run.started_at is None or run.finished_at is None:
        return None
    return run.finished_at - run.started_at


def expected_records(org: Org, pipeline_id: UUID) -> dict[str, int]:
    """Return the records that the newest successful run has read, by stream. A pipeline without such a run has none."""
    newest = _newest_success(org, pipeline_id).values("pk")
    streams = RunStream.objects.for_org(org).filter(run_id__in=newest)
    return dict(streams.values_list("name", "records_read"))


def _newest_success(org: Org, pipeline_id: UUID) -> QuerySet[Run]:
    """Return the newest ordinary run of the pipeline that has succeeded. Other runs read only a part of each stream."""
    runs = Run.objects.for_org(org).filter(
        ORDINARY_RUNS, pipeline_id=pipeline_id, status=Status.SUCCEEDED
    )
    return runs.order_by("-created_at", "-id")[:1]
