"""Telling open streams that somebody's access has changed, so that they ask again at once.

The notice names a user, a session, a key or an org. It goes out with the transaction that made the change.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connection

CHANNEL = "drover_access"


def changed(of: UUID) -> None:
    """Streams that were opened in this one's name are checked again."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(of)])
