"""What a deleted pipeline leaves outside its rows, and its removal.

The rows are gone when this begins, the runs' too. So what belongs to the pipeline is found by its
own id, and the logs by what is missing: folders of runs that no longer exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import structlog
from django.conf import settings

from apps.engine.contract import stream_key
from apps.engine.sync import state
from apps.orgs.tenancy import org_scope
from apps.pipelines import removal
from apps.pipelines.models import Pipeline
from apps.runs.claiming.leases import Claim
from apps.runs.models import Run
from apps.runs.outputs import storage

logger = structlog.get_logger(__name__)

AT_ONCE = 1000  # runs asked for in one query


def remove(*, org_id: UUID, pipeline_id: UUID) -> bool:
    """Remove everything that was the pipeline's alone. Safe to repeat, and to go on after a crash.

    False, and nothing is touched, while the pipeline exists. The engine's memory goes first: a
    child that is still alive somewhere loses its lease with it.
    """
    if _exists(org_id, pipeline_id):
        logger.warning("nothing removed: the pipeline exists", pipeline=str(pipeline_id))
        return False
    state.forget(settings.ENGINE_DATABASE_URL, stream_key(org_id, pipeline_id))
    storage.remove(storage.data_root(org_id, pipeline_id).prefix)
    for run_id in _gone_runs(org_id):
        storage.remove(storage.run_folder(org_id, run_id))
    return True


def ask_again_if_gone(claim: Claim) -> None:
    """For a worker that froze and woke up: it may have written after the pipeline's remains were removed."""
    if not _exists(claim.org_id, claim.pipeline_id):
        removal.ask(org_id=claim.org_id, pipeline_id=claim.pipeline_id)


def _exists(org_id: UUID, pipeline_id: UUID) -> bool:
    with org_scope(org_id):
        found: bool = Pipeline.objects.for_org(org_id).filter(pk=pipeline_id).exists()
    return found


def _gone_runs(org_id: UUID) -> Iterator[UUID]:
    """Runs that have a folder and no row. Listed first, asked for second: a row is older than its folder."""
    found = storage.run_ids(org_id)
    for first in range(0, len(found), AT_ONCE):
        some = found[first : first + AT_ONCE]
        with org_scope(org_id):
            alive = set(
                Run.objects.for_org(org_id).filter(pk__in=some).values_list("pk", flat=True)
            )
        yield from (run_id for run_id in some if run_id not in alive)
