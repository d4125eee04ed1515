"""Erasing an org whose grace period is over: what each app keeps outside its rows, then every row, in that order.

Safe to repeat and to go on after a crash: the org's own row goes last.
"""

from __future__ import annotations

from uuid import UUID

import structlog
from django.db import connection, transaction

from apps.background import registry
from apps.background.patience import each

logger = structlog.get_logger(__name__)


def erase_due() -> int:
    """Erase what is due. Answers how many orgs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id FROM orgs_to_erase()")
        due = cursor.fetchall()
    return each(due, erase)


def erase(org_id: UUID) -> bool:
    """False while an app has not let go of the org yet; the next look goes on."""
    if not all(eraser(org_id) for eraser in registry.erasers()):
        return False
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # every row of an org takes its time
        cursor.execute("SELECT erase_org(%s)", [org_id])
    logger.info("organization erased", org=str(org_id))
    return True
