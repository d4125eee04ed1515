"""Store events as numbered rows, and announce them with NOTIFY in the same transaction.

The numbers of one subject have no gaps and increase in the order of commits, because each writer of an event locks
the subject's row. Events that concern the whole org also get a number in the org-wide event stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from apps.auth.models import new_id
from apps.live.subjects import Subject
from apps.orgs.walls.scope import current_org_id

CHANNEL = "drover_events"
MAX_NOTICE_BODY = 7000  # bytes; PostgreSQL's limit for the payload of a NOTIFY is 8000
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A new event: its kind, which the subject defines, and its JSON."""

    kind: str
    body: Mapping[str, Any]


def publish(subject: Subject, *, org_id: UUID, key: UUID, new_events: Sequence[NewEvent]) -> int:
    """Add events of the object with the id `key`, in order, in the caller's transaction. Returns the last number."""
    if current_org_id() != org_id:
        raise LookupError("call publish inside the scope of the subject's org")
    if not new_events:
        return _advance_sequence(subject, key, 0)
    last = _advance_sequence(subject, key, len(new_events))
    org_event_count = sum(event.kind in subject.org_kinds for event in new_events)
    org_position = (
        _advance_org_sequence(org_id, org_event_count) - org_event_count if org_event_count else 0
    )
    rows, notices = [], []
    for number, event in enumerate(new_events, start=last - len(new_events) + 1):
        org_position += event.kind in subject.org_kinds
        org_number = org_position if event.kind in subject.org_kinds else None
        body = dumps(event.body)
        rows.append((new_id(), org_id, key, number, org_number, event.kind, body))
        notices.append(format_notice(org_id, key, number, org_number, event.kind, body))
    _insert_events(subject, rows, notices)
    return last


def format_notice(
    org_id: UUID, key: UUID, number: int, org_number: int | None, kind: str, body: str
) -> str:
    """Return `<org>|<subject>|<number>|<number in the org-wide stream or empty>|<kind>|<body, or empty if large>`."""
    sent_body = body if len(body.encode()) < MAX_NOTICE_BODY else ""
    return f"{org_id}|{key}|{number}|{org_number or ''}|{kind}|{sent_body}"


def dumps(body: object) -> str:
    """Return JSON that PostgreSQL can store. A NUL character is replaced by a visible symbol."""
    text = orjson.dumps(body, default=str, option=_OPTIONS).decode()
    return text.replace("\\u0000", "\\u2400") if "\\u0000" in text else text


def _advance_sequence(subject: Subject, key: UUID, by: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {subject.table} SET event_sequence = event_sequence + %s"  # noqa: S608 - our own table name
            " WHERE id = %s RETURNING event_sequence",
            [by, key],
        )
        (last,) = cursor.fetchone()
    return int(last)


def _advance_org_sequence(org_id: UUID, by: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO runs_feed (id, org_id, sequence) VALUES (%s, %s, %s)
               ON CONFLICT (org_id) DO UPDATE SET sequence = runs_feed.sequence + excluded.sequence
               RETURNING sequence""",
            [new_id(), org_id, by],
        )
        (last,) = cursor.fetchone()
    return int(last)


def _insert_events(
    subject: Subject, rows: Sequence[tuple[Any, ...]], notices: Sequence[str]
) -> None:
    with connection.cursor() as cursor:
        # Do not use executemany: after libpq's pipeline mode, the limit for idle transactions has no effect.
        cursor.execute(
            f"""INSERT INTO {subject.event_table} (id, org_id, {subject.id_column}, sequence, org_sequence, kind, body, at)
               SELECT id, org, key, number, org_number, kind, body, now()
               FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::jsonb[])
                    AS new (id, org, key, number, org_number, kind, body)""",  # noqa: S608 - our own table names
            [list(column) for column in zip(*rows, strict=True)],
        )
        cursor.execute(
            "SELECT pg_notify(%s, line) FROM unnest(%s::text[]) WITH ORDINALITY AS n(line, place) ORDER BY place",
            [CHANNEL, list(notices)],
        )
