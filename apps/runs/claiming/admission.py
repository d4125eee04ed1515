"""Whose turn it is: limits per platform, org and pipeline, and round robin between orgs.

Claims are made one at a time on the whole platform, under an advisory lock, so that two workers
cannot both take the last place. A claim takes a few milliseconds; runs take seconds to hours. Nobody
queues for the lock: a session that waits in a queue holds a connection for as long as a frozen holder
is there.
One live run per pipeline is the database's own rule (a partial unique index).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.orgs.models import Org
from apps.runs.models import Run, Status

_CLAIMS = 0x44524F01  # advisory lock: one claim at a time


def try_lock() -> bool:
    """Whether no other claim is being made; held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_CLAIMS])
        return bool(cursor.fetchone()[0])


def wait_briefly() -> None:
    """For rows that others hold, until the transaction ends: everybody else's claim waits meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '100ms'")


def check_references() -> None:
    """Lock the rows referred to now, not at the commit, when no other org could be chosen any more."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def next_run(passed_over: Collection[UUID] = ()) -> tuple[UUID, UUID] | None:
    """(org, run) that may start now and whose turn it is, or None. Works outside any org's scope.

    Orgs that are `passed_over` have no turn.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, run_id FROM runs_next(%s, %s)",
            [settings.MAX_RUNNING_PLATFORM, list(passed_over)],
        )
        row = cursor.fetchone()
    return (row[0], row[1]) if row else None


def startable() -> int:
    """How many waiting runs could start now, were there workers enough."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT runs_startable(%s)", [settings.MAX_RUNNING_PLATFORM])
        return int(cursor.fetchone()[0])


def crowded(worker: str) -> set[UUID]:
    """Orgs with as many runs in this worker as its memory is enough for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id FROM runs_held(%s) WHERE worker = %s GROUP BY 1 HAVING count(*) >= %s",
            [worker, worker, settings.WORKER_ORG_RUNS],
        )
        return {org_id for (org_id,) in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a pending run does not run yet, and its place among its org's waiting runs, from 1."""

    reason: str
    place: int


def explain(org_id: UUID, pending: Iterable[Mapping[str, Any]]) -> dict[UUID, Waiting]:
    """What each of these pending runs (`id`, `not_before`, `attempt`) waits for. Three queries at most."""
    rows = list(pending)
    if not rows:
        return {}
    limits = _limits(org_id)
    places = _places(org_id, [row["id"] for row in rows])
    return {
        row["id"]: Waiting(_reason(row, limits), places[row["id"]])
        for row in rows
        if row["id"] in places  # else it left the line since it was read
    }


def _limits(org_id: UUID) -> str:
    """The limit that holds everybody back now, in words; empty when there is room."""
    most = Org.objects.values_list("max_running", flat=True).get(pk=org_id)
    running = Run.objects.for_org(org_id).filter(status=Status.RUNNING).count()
    if running >= most:
        return f"org limit {running}/{most}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT runs_running()")
        (everywhere,) = cursor.fetchone()
    if everywhere >= settings.MAX_RUNNING_PLATFORM:
        return f"platform limit {everywhere}/{settings.MAX_RUNNING_PLATFORM}"
    return ""


def _reason(row: Mapping[str, Any], limits: str) -> str:
    until = row["not_before"]
    if until and until > timezone.now():
        when = f"{until:%Y-%m-%d %H:%M:%S} UTC"
        return f"next try at {when}" if row["attempt"] else f"starts at {when}"
    return limits or "waiting for a worker"


def _places(org_id: UUID, wanted: list[UUID]) -> dict[UUID, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, place FROM (
                   SELECT id, row_number() OVER (ORDER BY created_at, id) AS place
                   FROM runs_run WHERE org_id = %s AND status = 'pending') line
               WHERE id = ANY(%s)""",
            [org_id, wanted],
        )
        return dict(cursor.fetchall())
