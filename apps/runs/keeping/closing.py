"""Ending the runs of an org that is suspended or erased, and removing what they left outside its rows."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection

from apps.background.patience import each
from apps.engine.contract import stream_key
from apps.engine.sync import state
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.tenancy import org_scope
from apps.pipelines.models import Pipeline
from apps.runs import services
from apps.runs.exceptions import AlreadyEnded
from apps.runs.models import LIVE, Run
from apps.runs.outputs import storage

logger = structlog.get_logger(__name__)


def remove_everything(org_id: UUID) -> bool:
    """End the runs of an org that is erased, and remove its files and what the engine remembers of it.

    False while a run has not ended yet: it was asked to, and the next look goes on.
    """
    if stop_runs(org_id):
        return False
    with org_scope(org_id):
        pipelines = list(Pipeline.objects.for_org(org_id).values_list("pk", flat=True))
    for pipeline_id in pipelines:
        state.forget(settings.ENGINE_DATABASE_URL, stream_key(org_id, pipeline_id))
    storage.remove(f"org/{org_id}")
    return True


def stop_runs(org_id: UUID) -> int:
    """Ask every live run of an org to end. Answers how many there are."""
    with org_scope(org_id):
        org = Org.objects.get(pk=org_id)
        live = list(Run.objects.for_org(org).filter(status__in=LIVE))
        for run in live:
            if run.cancel_requested_at is not None:
                continue
            try:
                services.cancel(org=org, by=SYSTEM, run_id=run.pk)
            except AlreadyEnded:
                logger.debug("run ended by itself", run=str(run.pk))
    return len(live)


def stop_closed() -> int:
    """Runs of orgs that were suspended, or will be deleted, end. Answers how many orgs had any."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id FROM orgs_closed_with_runs()")
        found = cursor.fetchall()
    return each(found, lambda org_id: stop_runs(org_id) > 0)
