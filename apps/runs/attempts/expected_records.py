"""How many records each stream of a run will probably have, for the progress of the whole run."""

from __future__ import annotations

from uuid import UUID

from apps.orgs.models import Org
from apps.runs.models import Run, RunStream, Status


def expected_records(org: Org, pipeline_id: UUID) -> dict[str, int]:
    """Return the records that the newest successful run has read, by stream. A pipeline without such a run has none."""
    runs = Run.objects.for_org(org).filter(
        pipeline_id=pipeline_id, status=Status.SUCCEEDED, backfill=None
    )
    newest = runs.order_by("-created_at", "-id").values("pk")[:1]
    streams = RunStream.objects.for_org(org).filter(run_id__in=newest)
    return dict(streams.values_list("name", "records_read"))
