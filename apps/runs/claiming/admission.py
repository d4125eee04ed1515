"""Choose the next run: round robin between orgs, within the limits of the platform and of each org.

Claims are made one at a time on the whole platform, under an advisory lock. So two workers cannot both start the
last run that a limit allows. A claim takes a few milliseconds; runs take seconds to hours. Workers poll for the lock
instead of blocking on it: if the holder of the lock froze, blocked workers would occupy their connections until the
transaction of the holder ends.

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

_CLAIM_LOCK = 0x44524F01  # advisory lock: one claim at a time


def try_lock() -> bool:
    """Try to take the claim lock until the transaction ends. Returns whether the lock was free."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_CLAIM_LOCK])
        return bool(cursor.fetchone()[0])


def shorten_lock_timeout() -> None:
    """Use a short timeout for row locks until the transaction ends, because all other workers wait for the claim."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '100ms'")


def check_references() -> None:
    """Check foreign keys now. At the commit it would be too late to choose another org."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def next_run(skipped_orgs: Collection[UUID] = ()) -> tuple[UUID, UUID] | None:
    """Return (org id, run id) of the next run, or None. Runs of `skipped_orgs` are skipped.

    Call it outside any org's scope.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, run_id FROM runs_next(%s, %s)",
            [settings.MAX_RUNNING_PLATFORM, list(skipped_orgs)],
        )
        row = cursor.fetchone()
    return (row[0], row[1]) if row else None


def count_startable() -> int:
    """Count the waiting runs that could start now if there were enough workers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT runs_startable(%s)", [settings.MAX_RUNNING_PLATFORM])
        return int(cursor.fetchone()[0])


def orgs_at_worker_limit(worker: str) -> set[UUID]:
    """Return the orgs that already have WORKER_ORG_RUNS runs in this worker."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id FROM runs_held(%s) WHERE worker = %s GROUP BY 1 HAVING count(*) >= %s",
            [worker, worker, settings.WORKER_ORG_RUNS],
        )
        return {org_id for (org_id,) in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class WaitInfo:
    """The reason why a pending run waits, and its position among the org's waiting runs, from 1."""

    reason: str
    place: int


class PendingRun(TypedDict):
    """A pending run. Its next attempt starts at `not_before` or later. `attempt` counts its attempts so far."""

    id: UUID
    not_before: datetime | None
    attempt: int


def explain_waiting(org_id: UUID, pending: Iterable[PendingRun]) -> dict[UUID, WaitInfo]:
    """Return the reason and the position of each waiting run, by run id. Makes four queries at most."""
    rows = list(pending)
    if not rows:
        return {}
    limit = _describe_reached_limit(org_id)
    positions = _positions(org_id, [row["id"] for row in rows])
    return {
        row["id"]: WaitInfo(_waiting_reason(row, limit), positions[row["id"]])
        for row in rows
        if row["id"] in positions  # Skip runs that have started since they were read.
    }


def _describe_reached_limit(org_id: UUID) -> str:
    """Describe the limit that blocks all of the org's runs now; empty if no limit is reached."""
    max_running = Org.objects.values_list("max_running", flat=True).get(pk=org_id)
    running = Run.objects.for_org(org_id).filter(status=Status.RUNNING).count()
    if running >= max_running:
        return f"org limit {running}/{max_running}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT runs_running()")
        (running_in_all_orgs,) = cursor.fetchone()
    if running_in_all_orgs >= settings.MAX_RUNNING_PLATFORM:
        return f"platform limit {running_in_all_orgs}/{settings.MAX_RUNNING_PLATFORM}"
    return ""


def _waiting_reason(row: PendingRun, limit: str) -> str:
    """Return the reason without its time: each reader of `not_before` has a time zone of its own."""
    if is_in_future(row["not_before"]):
        return "waiting for the next attempt" if row["attempt"] else "waiting for its start"
    return limit or "waiting for a worker"


def is_in_future(not_before: datetime | None) -> bool:
    return not_before is not None and not_before > timezone.now()


def _positions(org_id: UUID, run_ids: list[UUID]) -> dict[UUID, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, place FROM (
                   SELECT id, row_number() OVER (ORDER BY created_at, id) AS place
                   FROM runs_run WHERE org_id = %s AND status = 'pending') line
               WHERE id = ANY(%s)""",
            [org_id, run_ids],
        )
        return dict(cursor.fetchall())
