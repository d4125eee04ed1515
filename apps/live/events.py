"""Store events as numbered rows, and announce them with NOTIFY in the same transaction.

The numbers of one subject have no gaps and increase in the order of commits, because each writer of an event locks
the subject's row. Events that concern the whole org also get a number in the org-wide event stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
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


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its named values.

    It may be a part of a statement: queries for a WITH clause, such as `first AS (...), second AS (...),`.
    """

    text: str
    values: Mapping[str, Any]

    def __add__(self, other: Statement) -> Statement:
        return Statement(self.text + other.text, {**self.values, **other.values})


# The new events have the numbers after the newest one of the subject. The subject's row is locked by the update.
STORE_AND_ANNOUNCE = """
    WITH {queries} subject AS (
        UPDATE {table} SET event_sequence = event_sequence + %(count)s WHERE id = %(key)s {condition}
        RETURNING event_sequence - %(count)s AS last
    ), new AS (
        SELECT id, last + place AS number, org_number, kind, body
        FROM subject, unnest(%(ids)s::uuid[], %(org_numbers)s::bigint[], %(kinds)s::text[], %(bodies)s::text[])
             WITH ORDINALITY AS given (id, org_number, kind, body, place)
    ), stored AS (
        INSERT INTO {event_table} (id, org_id, {id_column}, sequence, org_sequence, kind, body, at)
        SELECT id, %(org)s, %(key)s, number, org_number, kind, body::jsonb, now() FROM new
    )
    SELECT number, pg_notify(%(channel)s, {notice}) FROM new ORDER BY number
"""
# The same for one event of each of many subjects.
STORE_AND_ANNOUNCE_EACH = """
    WITH subject AS (
        UPDATE {table} SET event_sequence = event_sequence + 1 WHERE id = ANY(%(keys)s::uuid[])
        RETURNING id AS key, event_sequence AS number
    ), new AS (
        SELECT given.id, key, number, org_number, kind, body
        FROM unnest(%(ids)s::uuid[], %(keys)s::uuid[], %(org_numbers)s::bigint[], %(kinds)s::text[], %(bodies)s::text[])
             AS given (id, key, org_number, kind, body) JOIN subject USING (key)
    ), stored AS (
        INSERT INTO {event_table} (id, org_id, {id_column}, sequence, org_sequence, kind, body, at)
        SELECT id, %(org)s, key, number, org_number, kind, body::jsonb, now() FROM new
    )
    SELECT pg_notify(%(channel)s, {notice}) FROM new ORDER BY org_number
"""
# `<org>|<subject>|<number>|<number in the org-wide stream or empty>|<kind>|<body, or empty if large>`
NOTICE = """
    concat(%(org)s::text, '|', {key}::text, '|', number, '|', org_number, '|', kind, '|',
           CASE WHEN octet_length(body) < %(max_body)s THEN body END)
"""


def publish(subject: Subject, *, org_id: UUID, key: UUID, new_events: Sequence[NewEvent]) -> int:
    """Add events of the object with the id `key`, in order, in the caller's transaction. Returns the last number.

    If one of them belongs to the org's event stream, the caller has locked the object's row: it is locked before the org's
    numbers, so that writers cannot deadlock.
    """
    if current_org_id() != org_id:
        raise LookupError("call publish inside the scope of the subject's org")
    if not new_events:
        return _newest_number(subject, key)
    in_org_stream = [event.kind in subject.org_kinds for event in new_events]
    count = sum(in_org_stream)
    org_numbers = iter(_next_org_numbers(org_id, count) if count else ())
    numbers = [next(org_numbers) if is_in else None for is_in in in_org_stream]
    parameters = _parameters(org_id, key, new_events, numbers)
    with connection.cursor() as cursor:
        cursor.execute(_store_and_announce(subject), parameters)
        return int(cursor.fetchall()[-1][0])


def publish_each(subject: Subject, *, org_id: UUID, new_events: Mapping[UUID, NewEvent]) -> None:
    """Add one event of each object, in the caller's transaction and a constant number of queries.

    The caller has locked the objects' rows in the order of their ids. The events belong to the org's event stream.
    """
    if current_org_id() != org_id:
        raise LookupError("call publish_each inside the scope of the subject's org")
    if any(event.kind not in subject.org_kinds for event in new_events.values()):
        raise ValueError("all events must belong to the org's event stream")
    if not new_events:
        return
    parameters = _parameters(
        org_id, UUID(int=0), list(new_events.values()), _next_org_numbers(org_id, len(new_events))
    )
    statement = STORE_AND_ANNOUNCE_EACH.format(
        table=subject.table,
        event_table=subject.event_table,
        id_column=subject.id_column,
        notice=NOTICE.format(key="key"),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, {**parameters, "keys": list(new_events)})


def statement_with_events(
    queries: Statement, subject: Subject, *, org_id: UUID, key: UUID, new_events: Sequence[NewEvent]
) -> Statement:
    """Return a statement that runs the queries in its WITH clause, and stores and announces the events.

    One query must be named `allowed`: if it finds no row, no event is stored. The statement returns a row for each
    event. The events must not belong to the org's event stream.
    """
    if any(event.kind in subject.org_kinds for event in new_events):
        raise ValueError("events of the org's event stream need numbers first: call publish")
    parameters = _parameters(org_id, key, new_events, [None] * len(new_events))
    return Statement(_store_and_announce(subject, queries.text), {**queries.values, **parameters})


def _parameters(
    org_id: UUID, key: UUID, new_events: Sequence[NewEvent], org_numbers: Sequence[int | None]
) -> dict[str, Any]:
    return {
        "org": org_id,
        "key": key,
        "count": len(new_events),
        "channel": CHANNEL,
        "max_body": MAX_NOTICE_BODY,
        "ids": [new_id() for _ in new_events],
        "org_numbers": list(org_numbers),
        "kinds": [event.kind for event in new_events],
        "bodies": [dumps(event.body) for event in new_events],
    }


def dumps(body: object) -> str:
    """Return JSON that PostgreSQL can store. A NUL character is replaced by a visible symbol."""
    text = orjson.dumps(body, default=str, option=_OPTIONS).decode()
    return text.replace("\\u0000", "\\u2400") if "\\u0000" in text else text


@cache
def _store_and_announce(subject: Subject, queries: str = "") -> str:
    return STORE_AND_ANNOUNCE.format(
        queries=queries,
        condition="AND EXISTS (SELECT FROM allowed)" if queries else "",
        table=subject.table,
        event_table=subject.event_table,
        id_column=subject.id_column,
        notice=NOTICE.format(key="%(key)s"),
    )


def _newest_number(subject: Subject, key: UUID) -> int:
    """Return the number of the subject's newest event, and lock the subject's row."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT event_sequence FROM {subject.table} WHERE id = %s FOR NO KEY UPDATE",  # noqa: S608 - our own table name
            [key],
        )
        (newest,) = cursor.fetchone()
    return int(newest)


def _next_org_numbers(org_id: UUID, count: int) -> range:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO runs_feed (id, org_id, sequence) VALUES (%s, %s, %s)
               ON CONFLICT (org_id) DO UPDATE SET sequence = runs_feed.sequence + excluded.sequence
               RETURNING sequence""",
            [new_id(), org_id, count],
        )
        (last,) = cursor.fetchone()
    return range(last - count + 1, last + 1)
