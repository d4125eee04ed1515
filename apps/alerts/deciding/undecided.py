"""Decide about each run that ends, exactly once, also if deciding raises.

Deciding is done in the transaction that ends the run, in a savepoint. If it raises, the run ends all the same: a fault of
the alerts must not keep runs from ending. What is known of the run is then stored in the same transaction, and a tick
decides about it again each minute until it succeeds. Later runs of the pipeline wait until then, so that a success is
never decided before the failure that it ends.
"""

from __future__ import annotations

from uuid import UUID

import structlog
from django.db import connection
from django.db.models import Exists, F, OuterRef

from apps.alerts.deciding import decisions
from apps.alerts.deciding.ended_runs import EndedRun
from apps.alerts.models import UndecidedRun
from apps.orgs.tenancy import OrgQuerySet
from apps.orgs.walls.scope import org_scope
from apps.pipelines.models import Pipeline, RunKind
from apps.runs.snapshots import RunSnapshot

logger = structlog.get_logger(__name__)

PIPELINES_PER_TICK = 500
RUNS_PER_TICK = 100  # of one pipeline


def on_end(org_id: UUID, snapshot: RunSnapshot) -> None:
    """Decide about a run that ends, or store that it is undecided. It is called in the transaction that ends the run.

    Chunks of backfills and replays are left out: somebody has started them and sees how they end.
    """
    if snapshot["kind"] != RunKind.ORDINARY:
        return
    run = EndedRun.of(snapshot)
    undecided = UndecidedRun.objects.for_org(org_id).filter(pipeline=OuterRef("pk"))
    pipelines = _pipelines(org_id).annotate(has_undecided_runs=Exists(undecided))
    pipeline = pipelines.get(pk=run.pipeline_id)
    if pipeline.has_undecided_runs or not _try_to_decide(org_id, run, pipeline):
        UndecidedRun.unscoped.create(
            org_id=org_id, pipeline_id=run.pipeline_id, run=run.to_stored()
        )


def tick() -> int:
    """Decide again about the undecided runs. Returns how many were decided."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, pipeline_id FROM alerts_undecided(%s)", [PIPELINES_PER_TICK])
        found = cursor.fetchall()
    return sum(
        decide_again(org_id=org_id, pipeline_id=pipeline_id) for org_id, pipeline_id in found
    )


def decide_again(*, org_id: UUID, pipeline_id: UUID) -> int:
    """Decide about the undecided runs of one pipeline in their order, up to the first one that raises again."""
    decided = 0
    with org_scope(org_id):
        # The end of a run locks this row too, so nothing else decides about the pipeline meanwhile.
        rows = _pipelines(org_id).select_for_update(no_key=True, skip_locked=True)
        pipeline = rows.filter(pk=pipeline_id).first()
        if pipeline is None:
            return 0
        for row in _of_pipeline(org_id, pipeline_id).order_by("created_at", "pk")[:RUNS_PER_TICK]:
            if not _try_to_decide(org_id, EndedRun.from_stored(row.run), pipeline):
                _of_pipeline(org_id, pipeline_id).filter(pk=row.pk).update(tries=F("tries") + 1)
                break
            row.delete()
            decided += 1
    return decided


def _of_pipeline(org_id: UUID, pipeline_id: UUID) -> OrgQuerySet[UndecidedRun]:
    return UndecidedRun.objects.for_org(org_id).filter(pipeline_id=pipeline_id)


def _pipelines(org_id: UUID) -> OrgQuerySet[Pipeline]:
    return Pipeline.objects.for_org(org_id).only(*decisions.PIPELINE_COLUMNS)


def _try_to_decide(org_id: UUID, run: EndedRun, pipeline: Pipeline) -> bool:
    try:
        with org_scope(org_id):  # a savepoint
            decisions.decide(org_id, run, pipeline)
    except Exception:  # The run must end, whatever is wrong. It is decided again by the tick.
        logger.exception("could not decide whether to open alerts", run=str(run.id))
        return False
    return True
