"""Erase an org whose grace period is over: first each app's data outside the database, then all rows.

It is safe to repeat and to continue after a crash, because the row of the org is deleted last.
"""

from __future__ import annotations

from uuid import UUID

import structlog
from django.db import connection, transaction

from apps.background import registry
from apps.background.retries import apply_to_rows

logger = structlog.get_logger(__name__)


def erase_due_orgs() -> int:
    """Erase the orgs that are due. Returns their number."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id FROM orgs_to_erase()")
        due_orgs = cursor.fetchall()
    return apply_to_rows(due_orgs, erase)


def erase(org_id: UUID) -> bool:
    """Erase one org. Returns False while an app still has data of the org; the next call continues."""
    if not all(eraser(org_id) for eraser in registry.erasers()):
        return False
    with transaction.atomic(), connection.cursor() as cursor:
        # Deleting all rows of an org may take long.
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SELECT erase_org(%s)", [org_id])
    logger.info("organization erased", org=str(org_id))
    return True
