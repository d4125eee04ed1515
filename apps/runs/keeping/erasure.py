"""Erasing an org whose grace period is over: files, the engine's memory, then every row, in that order.

Safe to repeat and to go on after a crash: the org's own row goes last.
"""

from __future__ import annotations

from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction

from apps.engine.sync import state
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.tenancy import org_scope
from apps.pipelines.models import Pipeline
from apps.runs import services
from apps.runs.exceptions import AlreadyEnded
from apps.runs.models import LIVE, Run
from apps.runs.outputs import storage
from apps.runs.patience import each
from apps.runs.positions import services as positions

logger = structlog.get_logger(__name__)


def erase_due() -> int:
    """Erase what is due. Answers how many orgs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id FROM orgs_to_erase()")
        due = cursor.fetchall()
    return each(due, erase)


def erase(org_id: UUID) -> bool:
    """False while a run has not ended yet: it was asked to, and the next look goes on."""
    if stop_runs(org_id):
        return False
    with org_scope(org_id):
        pipelines = list(Pipeline.objects.for_org(org_id).values_list("pk", flat=True))
    for pipeline_id in pipelines:
        state.forget(settings.ENGINE_DATABASE_URL, positions.stream_key(org_id, pipeline_id))
    storage.remove(f"org/{org_id}")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # every row of an org takes its time
        cursor.execute("SELECT erase_org(%s)", [org_id])
    logger.info("organization erased", org=str(org_id))
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
                services.cancel(org=org, run=run, by=SYSTEM)
            except AlreadyEnded:
                logger.debug("run ended by itself", run=str(run.pk))
    return len(live)


def stop_closed() -> int:
    """Runs of orgs that were suspended, or will be deleted, end. Answers how many orgs had any."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id FROM orgs_closed_with_runs()")
        found = cursor.fetchall()
    return each(found, lambda org_id: stop_runs(org_id) > 0)
