"""The check of `manage.py doctor` about live events."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import psycopg
from django.db import connection

from apps.background.database_errors import first_line
from apps.background.health import Finding
from apps.live import hub

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
