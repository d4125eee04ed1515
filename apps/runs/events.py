"""What happens to runs, as numbered rows, announced with NOTIFY in the transaction that writes them.

A run's own numbers have no gaps and rise in the order of commits, because whoever adds to a run
holds its row. What concerns the whole org ("run") is numbered a second time, by the org's feed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from apps.auth.models import new_id
from apps.orgs.tenancy import current_org_id

CHANNEL = "drover_events"
LARGEST_NOTICE = (
    7000  # bytes of a body that still travels with the notice; PostgreSQL's limit is 8000
)
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
OF_ORG = frozenset({"run"})  # kinds the org's stream keeps


@dataclass(frozen=True, slots=True)
class New:
    """An event to be: `kind` is run, progress, log or end; `body` is its JSON."""

    kind: str
    body: Mapping[str, Any]


def publish(*, org_id: UUID, run_id: UUID, news: Sequence[New]) -> int:
    """Add events to the run's stream, in order, in the caller's transaction. Answers the last number."""
    if current_org_id() != org_id:
        raise LookupError("publish inside the scope of the run's org")
    if not news:
        return _advance(run_id, 0)
    last = _advance(run_id, len(news))
    shared = sum(event.kind in OF_ORG for event in news)
    place = _next_of_org(org_id, shared) - shared if shared else 0
    rows, notices = [], []
    for number, event in enumerate(news, start=last - len(news) + 1):
        place += event.kind in OF_ORG
        org_number = place if event.kind in OF_ORG else None
        body = dumps(event.body)
        rows.append((new_id(), org_id, run_id, number, org_number, event.kind, body))
        notices.append(notice(org_id, run_id, number, org_number, event.kind, body))
    _insert(rows, notices)
    return last


def notice(
    org_id: UUID, run_id: UUID, number: int, org_number: int | None, kind: str, body: str
) -> str:
    """`<org>|<run>|<number>|<number in the org's stream or nothing>|<kind>|<body, unless large>`."""
    short = body if len(body.encode()) < LARGEST_NOTICE else ""
    return f"{org_id}|{run_id}|{number}|{org_number or ''}|{kind}|{short}"


def dumps(body: Mapping[str, Any]) -> str:
    """JSON that PostgreSQL can hold: a NUL, which it cannot, is shown as the sign for it."""
    text = orjson.dumps(body, default=str, option=_OPTIONS).decode()
    return text.replace("\\u0000", "\\u2400") if "\\u0000" in text else text


def _advance(run_id: UUID, by: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE runs_run SET event_sequence = event_sequence + %s WHERE id = %s RETURNING event_sequence",
            [by, run_id],
        )
        (last,) = cursor.fetchone()
    return int(last)


def _next_of_org(org_id: UUID, by: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO runs_feed (id, org_id, sequence) VALUES (%s, %s, %s)
               ON CONFLICT (org_id) DO UPDATE SET sequence = runs_feed.sequence + excluded.sequence
               RETURNING sequence""",
            [new_id(), org_id, by],
        )
        (last,) = cursor.fetchone()
    return int(last)


def _insert(rows: Sequence[tuple[Any, ...]], notices: Sequence[str]) -> None:
    with connection.cursor() as cursor:
        # Not executemany: after its pipeline the server does not count how long a transaction idles.
        cursor.execute(
            """INSERT INTO runs_event (id, org_id, run_id, sequence, org_sequence, kind, body, at)
               SELECT id, org, run, number, of_org, kind, body, now()
               FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::jsonb[])
                    AS new (id, org, run, number, of_org, kind, body)""",
            [list(column) for column in zip(*rows, strict=True)],
        )
        cursor.execute(
            "SELECT pg_notify(%s, line) FROM unnest(%s::text[]) WITH ORDINALITY AS n(line, place) ORDER BY place",
            [CHANNEL, list(notices)],
        )
