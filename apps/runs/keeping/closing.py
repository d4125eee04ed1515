"""Cancel the runs of suspended orgs and of orgs in deletion, and remove an erased org's data outside the database."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection

from apps.background.retries import apply_to_rows
from apps.engine.stream_keys import org_prefix
from apps.engine.sync import state
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.walls.scope import org_scope
from apps.runs import services
from apps.runs.exceptions import AlreadyEnded
from apps.runs.models import LIVE, Run
from apps.runs.outputs import storage

logger = structlog.get_logger(__name__)


def remove_org_data(org_id: UUID) -> bool:
    """Cancel the runs of an org that is being erased, then remove its files and its engine state.

    Returns False if a cancelled run has not ended yet. The next call continues then.
    """
    if cancel_runs(org_id):
        return False
    state.delete_states(settings.ENGINE_DATABASE_URL, org_prefix(org_id))
    storage.remove(f"org/{org_id}")
    return True


def cancel_runs(org_id: UUID) -> int:
    """Cancel every live run of an org. Returns the number of live runs."""
    with org_scope(org_id):
        org = Org.objects.get(pk=org_id)
        live_runs = list(Run.objects.for_org(org).filter(status__in=LIVE))
        for run in live_runs:
            if run.cancel_requested_at is not None:
                continue
            try:
                services.cancel(org=org, by=SYSTEM, run_id=run.pk)
            except AlreadyEnded:
                logger.debug("run ended before it was cancelled", run=str(run.pk))
    return len(live_runs)


def cancel_runs_of_closed_orgs() -> int:
    """Cancel the runs of suspended orgs and of orgs that will be deleted. Returns the number of orgs with live runs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id FROM orgs_closed_with_runs()")
        org_ids = cursor.fetchall()
    return apply_to_rows(org_ids, lambda org_id: cancel_runs(org_id) > 0)
