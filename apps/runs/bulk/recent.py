"""The newest runs of each of many pipelines, for the strips of the list of pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from django.db import connection

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.visibility import pipelines

RUNS_PER_PIPELINE = 14
# The index (pipeline, -created_at, -id) has them in order. Chunks of backfills and replays are left out, as in the
# pipeline's last run.
STATEMENT = """
    SELECT p.id, r.id, r.status, r.created_at, r.started_at, r.finished_at, r.records_written
    FROM unnest(%(pipelines)s::uuid[]) AS p (id)
    CROSS JOIN LATERAL (
        SELECT * FROM runs_run
        WHERE org_id = %(org)s AND pipeline_id = p.id AND backfill_id IS NULL AND trigger <> 'replay'
        ORDER BY created_at DESC, id DESC LIMIT %(runs)s
    ) r
    ORDER BY p.id, r.created_at DESC, r.id DESC
"""


class RecentRun(TypedDict):
    id: UUID
    status: str
    created_at: datetime
    duration_seconds: float | None
    records: int


class RunsOfPipeline(TypedDict):
    pipeline_id: UUID
    runs: list[RecentRun]


def recent_runs(*, org: Org, by: Principal, pipeline_ids: Sequence[UUID]) -> list[RunsOfPipeline]:
    """Return the newest runs of these pipelines, newest first. Pipelines that the principal cannot see are left out."""
    visible = list(pipelines(org, by).filter(pk__in=pipeline_ids).values_list("id", flat=True))
    found: dict[UUID, list[RecentRun]] = {pipeline_id: [] for pipeline_id in visible}
    with connection.cursor() as cursor:
        cursor.execute(STATEMENT, {"pipelines": visible, "org": org.pk, "runs": RUNS_PER_PIPELINE})
        for pipeline_id, run_id, status, created, started, finished, records in cursor.fetchall():
            seconds = (finished - started).total_seconds() if started and finished else None
            found[pipeline_id].append(
                {
                    "id": run_id,
                    "status": status,
                    "created_at": created,
                    "duration_seconds": seconds,
                    "records": records,
                }
            )
    return [{"pipeline_id": pipeline_id, "runs": runs} for pipeline_id, runs in found.items()]
