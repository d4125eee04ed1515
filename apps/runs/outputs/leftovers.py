"""Remove the engine's state, the tables in shared DuckDB files, the files and the logs of a deleted pipeline.

The rows of the pipeline and its runs no longer exist. The state and the files are found by the pipeline's id. The logs
are found as folders of runs that have no row.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import structlog
from django.conf import settings

from apps.engine.stream_keys import pipeline_prefix
from apps.engine.sync import state
from apps.orgs.walls.scope import org_scope
from apps.pipelines import removal
from apps.pipelines.models import Pipeline
from apps.runs.claiming.leases import Claim
from apps.runs.models import Run
from apps.runs.outputs import databases, storage

logger = structlog.get_logger(__name__)

RUNS_PER_QUERY = 1000


def remove(*, org_id: UUID, pipeline_id: UUID) -> bool:
    """Remove everything that belonged only to the pipeline. Safe to repeat, and to continue after a crash.

    If the pipeline exists, nothing is removed and the result is False. The engine's state is removed first. A child
    process that still works on the stream then no longer owns it, and must not publish.
    """
    if _pipeline_exists(org_id, pipeline_id):
        logger.warning("nothing was removed: the pipeline exists", pipeline=str(pipeline_id))
        return False
    state.delete_states(settings.ENGINE_DATABASE_URL, pipeline_prefix(org_id, pipeline_id))
    databases.drop_tables(org_id, pipeline_id)
    storage.remove(storage.data_root(org_id, pipeline_id).prefix)
    for run_id in _deleted_runs(org_id):
        storage.remove(storage.run_folder(org_id, run_id))
    return True


def remove_again_if_deleted(claim: Claim) -> None:
    """Request another removal if the pipeline was deleted. A frozen worker may have written after the first removal."""
    if not _pipeline_exists(claim.org_id, claim.pipeline_id):
        removal.request_removal(org_id=claim.org_id, pipeline_id=claim.pipeline_id)


def _pipeline_exists(org_id: UUID, pipeline_id: UUID) -> bool:
    with org_scope(org_id):
        exists: bool = Pipeline.objects.for_org(org_id).filter(pk=pipeline_id).exists()
    return exists


def _deleted_runs(org_id: UUID) -> Iterator[UUID]:
    """Yield the ids of runs that have a folder but no row.

    Folders are listed before rows are read, because a run's row is created before its folder.
    """
    run_ids = storage.run_ids(org_id)
    for first in range(0, len(run_ids), RUNS_PER_QUERY):
        batch = run_ids[first : first + RUNS_PER_QUERY]
        with org_scope(org_id):
            existing = set(
                Run.objects.for_org(org_id).filter(pk__in=batch).values_list("pk", flat=True)
            )
        yield from (run_id for run_id in batch if run_id not in existing)
