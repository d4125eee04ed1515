"""Delete expired data of orgs: logs, events, runs and audit log, each after its own number of days.

Any worker may do this at any time, in bounded steps. The removal of a log is recorded before its first file is
deleted, so that readers are told and a removal continues after a crash. Runs that have not ended are never touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from uuid import UUID

import structlog
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from apps.background.retries import apply_to_rows
from apps.orgs.models import Org
from apps.orgs.walls.scope import org_scope
from apps.runs.models import ENDED, LogPart, Run
from apps.runs.outputs import storage

logger = structlog.get_logger(__name__)

AT_ONCE = 500  # items found by one query, and rows deleted by one statement
MOST = 20_000  # items of a kind removed per call; the next call continues


@dataclass(frozen=True, slots=True)
class Removed:
    """The number of removed items."""

    logs: int
    runs: int
    events: int
    audit: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The stored items of one kind. `days` None: forever; `bytes` None: not measured."""

    name: str
    days: int | None
    rows: int
    bytes: int | None


def apply() -> Removed:
    """Remove expired data. Safe to repeat, to run concurrently, and to continue after a crash."""
    removed = Removed(
        logs=remove_logs(),
        runs=remove_runs(),
        events=_in_batches("runs_remove_org_events"),
        audit=_in_batches("orgs_prune_audit"),
    )
    if any(asdict(removed).values()):
        logger.info("removed expired data", **asdict(removed))
    return removed


# Logs.


def remove_logs() -> int:
    """Remove the logs of runs that ended long enough ago. Returns the number of runs."""
    apply_to_rows(
        _found("runs_logs_going"), _finish
    )  # Logs whose removal was interrupted by a crash or a storage failure.
    removed = 0
    while removed < MOST and (due := _found("runs_logs_due")):
        gone = apply_to_rows(due, _remove_log)
        if not gone:
            break
        removed += gone
    return removed


def _remove_log(org_id: UUID, run_id: UUID) -> bool:
    """Remove one log. Returns whether its removal has at least begun; the next call removes the rest."""
    if not begin(org_id, run_id):
        return False
    _finish(org_id, run_id)
    return True


def begin(org_id: UUID, run_id: UUID) -> bool:
    """Mark the log as removed for readers. False if the run was started again."""
    with org_scope(org_id):
        mine = Run.objects.for_org(org_id).filter(pk=run_id, status__in=ENDED)
        return bool(mine.update(log_removed=F("log_lines"), log_removal_at=Now()))


def _finish(org_id: UUID, run_id: UUID) -> bool:
    """Remove the files, then their rows. Files that cannot be removed now are left for the next call."""
    with org_scope(org_id):
        run = Run.objects.for_org(org_id).filter(pk=run_id)
        before = run.values_list("log_removed", flat=True).first()
    if before is None:
        return False
    try:
        storage.remove_log(org_id, run_id, before=before)
    except (
        Exception
    ):  # Each storage raises its own exceptions, and one failure must not keep other orgs' logs.
        logger.exception("log cannot be removed now", org=str(org_id), run=str(run_id))
        return False
    with org_scope(org_id):
        LogPart.objects.for_org(org_id).filter(run_id=run_id, first_line__lt=before).delete()
        run.filter(log_removed=before).update(log_removal_at=None)
    return True


def log_is_gone(run: Run) -> bool:
    """Whether the log was removed since this row was read."""
    with org_scope(run.org_id):
        now = (
            Run.objects.for_org(run.org_id).filter(pk=run.pk).values_list("log_removed", flat=True)
        )
        return (now.first() or 0) > run.log_removed


def note(org: Org, run: Run) -> str:
    """Return the note for readers of a log about lines that were removed."""
    if not run.log_removed:
        return ""
    days = [kept for kept in (org.keep_logs_days, org.keep_runs_days) if kept is not None]
    after = f" after {min(days)} days" if days else ""
    if run.log_removed >= run.log_lines:
        return f"The log of this run was removed{after}."
    return f"The first {run.log_removed:,} lines were removed{after}."


# Runs.


def remove_runs() -> int:
    """Remove runs whose log and files are gone; each pipeline's newest run stays."""
    removed = 0
    while removed < MOST and (due := _found("runs_due")):
        gone = apply_to_rows(due, _remove_run)
        if not gone:
            break
        removed += gone
    return removed


def _remove_run(org_id: UUID, run_id: UUID) -> bool:
    """Delete a run; related rows are deleted by the database. Returns whether it existed."""
    with org_scope(org_id), connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM runs_run WHERE org_id = %s AND id = %s AND status = ANY(%s)",
            [org_id, run_id, [str(status) for status in ENDED]],
        )
        return bool(cursor.rowcount)


# Queries across orgs; they return only ids and counts.


def _found(function: str) -> list[tuple[UUID, UUID]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT org_id, run_id FROM {function}(%s)", [AT_ONCE])  # noqa: S608 - a constant
        found: list[tuple[UUID, UUID]] = cursor.fetchall()
    return found


def _in_batches(function: str) -> int:
    removed = 0
    with connection.cursor() as cursor:
        while removed < MOST:
            cursor.execute(f"SELECT {function}(%s)", [AT_ONCE])
            batch = int(cursor.fetchone()[0])
            if not batch:
                break
            removed += batch
    return removed


# Sizes.


def kept(org: Org) -> list[Kept]:
    """Return what the org stores, and for how long. One query."""
    days = {
        "logs": org.keep_logs_days,
        "outputs": None,
        "events": org.keep_events_days,
        "runs": org.keep_runs_days,
        "audit": org.keep_audit_days,
    }
    return [Kept(name, days[name], rows, size) for name, rows, size in _sizes(org.pk)]


def _sizes(org_id: UUID) -> Iterator[tuple[str, int, int | None]]:
    with connection.cursor() as cursor:
        cursor.execute(SIZES, {"org": org_id})
        yield from cursor.fetchall()


SIZES = """
SELECT 'logs', coalesce(sum(lines), 0)::bigint, coalesce(sum(bytes), 0)::bigint
FROM runs_logpart WHERE org_id = %(org)s
UNION ALL SELECT 'outputs', count(*), coalesce(sum(bytes), 0)::bigint FROM runs_output WHERE org_id = %(org)s
UNION ALL SELECT 'events', count(*), coalesce(sum(pg_column_size(body)), 0)::bigint
FROM runs_event WHERE org_id = %(org)s
UNION ALL SELECT 'runs', count(*), NULL FROM runs_run WHERE org_id = %(org)s
UNION ALL SELECT 'audit', count(*), NULL FROM orgs_auditevent WHERE org_id = %(org)s
"""
