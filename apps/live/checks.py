"""Check whether live events arrive: for `manage.py doctor`, and at the start of a web process."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import psycopg
import structlog
from django.db import connection

from apps.background.database_errors import first_line
from apps.background.health import Finding
from apps.live import hub

logger = structlog.get_logger(__name__)

CHANNEL = "drover_doctor"
MAX_WAIT = 3.0  # seconds
STEP = "Set DROVER_EVENTS_DATABASE_URL to the address of the server itself (docs/howto/own-postgresql.md)."


def check_events() -> Finding:
    """A notice arrives at the connection on which web processes listen. A pooler in transaction mode would drop it."""
    try:
        arrived = asyncio.run(_notice_arrives())
    except (psycopg.Error, OSError) as error:
        return Finding("events", False, first_line(error), STEP)
    seen = (
        "notices arrive" if arrived else "LISTEN works, and no notice arrives, as behind a pooler"
    )
    return Finding("events", arrived, seen, STEP)


def warn_if_events_do_not_arrive() -> None:
    """Log a warning at the start of a web process.

    The web process checks it itself, because `manage.py doctor` connects to the server even if web processes use a pooler.
    """
    finding = check_events()
    if not finding.ok:
        logger.warning("live events do not arrive", seen=finding.seen, next_step=finding.next_step)


async def _notice_arrives() -> bool:
    sent = str(uuid4())
    async with await hub.connect() as listener:
        await listener.execute(f"LISTEN {CHANNEL}")
        await asyncio.to_thread(_notify, sent)
        async for notice in listener.notifies(timeout=MAX_WAIT):
            if notice.payload == sent:
                return True
    return False


def _notify(text: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, text])
    finally:
        connection.close()  # of this thread
