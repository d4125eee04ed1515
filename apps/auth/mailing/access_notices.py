"""Notify open event streams that a user's access has changed, so that they check it at once.

The notice contains the id of a user, a session, a key or an org. It is sent when the transaction commits.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connection

CHANNEL = "drover_access"


def recheck_streams(subject_id: UUID) -> None:
    """Make the open streams of this user, session, key or org check their access again."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(subject_id)])
