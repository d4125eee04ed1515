"""Remove the data of a deleted pipeline outside the database.

The rows of the pipeline and its runs no longer exist at this point. So its data is found by the pipeline's id,
and its logs as the folders of runs that no longer exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import structlog
from django.conf import settings

from apps.engine.contract import stream_key
from apps.engine.sync import state
from apps.orgs.walls.scope import org_scope
from apps.pipelines import removal
from apps.pipelines.models import Pipeline
from apps.runs.claiming.leases import Claim
from apps.runs.models import Run
from apps.runs.outputs import storage

logger = structlog.get_logger(__name__)

AT_ONCE = 1000  # runs per query


def remove(*, org_id: UUID, pipeline_id: UUID) -> bool:
    """Remove everything that belonged only to the pipeline. Safe to repeat, and to continue after a crash.

    Returns False, without removing anything, while the pipeline exists. The engine's state is removed first: a
    child that is still alive loses its lease by that.
    """
    if _exists(org_id, pipeline_id):
        logger.warning("nothing was removed: the pipeline exists", pipeline=str(pipeline_id))
        return False
    state.delete_stream_state(settings.ENGINE_DATABASE_URL, stream_key(org_id, pipeline_id))
    storage.remove(storage.data_root(org_id, pipeline_id).prefix)
    for run_id in _gone_runs(org_id):
        storage.remove(storage.run_folder(org_id, run_id))
    return True


def remove_again_if_gone(claim: Claim) -> None:
    """Remove the data again if the pipeline is gone: a worker that was frozen may have written after the removal."""
    if not _exists(claim.org_id, claim.pipeline_id):
        removal.request_removal(org_id=claim.org_id, pipeline_id=claim.pipeline_id)


def _exists(org_id: UUID, pipeline_id: UUID) -> bool:
    with org_scope(org_id):
        found: bool = Pipeline.objects.for_org(org_id).filter(pk=pipeline_id).exists()
    return found


def _gone_runs(org_id: UUID) -> Iterator[UUID]:
    """Return the runs that have a folder but no row.

    Folders are listed first, because a row is created before its folder.
    """
    found = storage.run_ids(org_id)
    for first in range(0, len(found), AT_ONCE):
        some = found[first : first + AT_ONCE]
        with org_scope(org_id):
            alive = set(
                Run.objects.for_org(org_id).filter(pk__in=some).values_list("pk", flat=True)
            )
        yield from (run_id for run_id in some if run_id not in alive)
