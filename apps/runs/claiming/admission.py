"""Choose the next run: limits per platform, org and pipeline, and round robin between orgs.

Claims are made one at a time on the whole platform, under an advisory lock, so that two workers cannot
both take the last free slot. A claim takes a few milliseconds; runs take seconds to hours. Sessions poll for
the lock instead of blocking on it, because a blocked session would keep its connection as long as a frozen
holder exists.
A partial unique index allows one live run per pipeline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.orgs.models import Org
from apps.runs.models import Run, Status

_CLAIMS = 0x44524F01  # advisory lock: one claim at a time


def try_lock() -> bool:
    """Try to take the claim lock, which is held until the transaction ends. Returns whether it was free."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_CLAIMS])
        return bool(cursor.fetchone()[0])


def wait_briefly() -> None:
    """Use a short timeout for row locks until the transaction ends, because all other claims wait meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '100ms'")


def check_references() -> None:
    """Check foreign keys now, because at the commit it would be too late to choose another org."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def next_run(passed_over: Collection[UUID] = ()) -> tuple[UUID, UUID] | None:
    """Return (org, run) of the run to start next, or None. Works outside any org's scope.

    Orgs in `passed_over` are skipped.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, run_id FROM runs_next(%s, %s)",
            [settings.MAX_RUNNING_PLATFORM, list(passed_over)],
        )
        row = cursor.fetchone()
    return (row[0], row[1]) if row else None


def startable() -> int:
    """Count the waiting runs that could start now if there were enough workers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT runs_startable(%s)", [settings.MAX_RUNNING_PLATFORM])
        return int(cursor.fetchone()[0])


def full_orgs(worker: str) -> set[UUID]:
    """Return the orgs that already have as many runs in this worker as its memory allows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id FROM runs_held(%s) WHERE worker = %s GROUP BY 1 HAVING count(*) >= %s",
            [worker, worker, settings.WORKER_ORG_RUNS],
        )
        return {org_id for (org_id,) in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a pending run is waiting, and its position among its org's waiting runs, from 1."""

    reason: str
    place: int


class Pending(TypedDict):
    """A pending run: its next attempt starts at `not_before` or later; it had `attempt` attempts so far."""

    id: UUID
    not_before: datetime | None
    attempt: int


def explain(org_id: UUID, pending: Iterable[Pending]) -> dict[UUID, Waiting]:
    """Return what each of these runs waits for. Three queries at most."""
    rows = list(pending)
    if not rows:
        return {}
    limits = _limits(org_id)
    positions = _positions(org_id, [row["id"] for row in rows])
    return {
        row["id"]: Waiting(_reason(row, limits), positions[row["id"]])
        for row in rows
        if row["id"] in positions  # Skip runs that have started since they were read.
    }


def _limits(org_id: UUID) -> str:
    """Describe the limit that currently blocks all of the org's runs; empty if there is room."""
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


def _reason(row: Pending, limits: str) -> str:
    until = row["not_before"]
    if until and until > timezone.now():
        when = f"{until:%Y-%m-%d %H:%M:%S} UTC"
        return f"next try at {when}" if row["attempt"] else f"starts at {when}"
    return limits or "waiting for a worker"


def _positions(org_id: UUID, wanted: list[UUID]) -> dict[UUID, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, place FROM (
                   SELECT id, row_number() OVER (ORDER BY created_at, id) AS place
                   FROM runs_run WHERE org_id = %s AND status = 'pending') line
               WHERE id = ANY(%s)""",
            [org_id, wanted],
        )
        return dict(cursor.fetchall())
