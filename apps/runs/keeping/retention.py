"""Removes what an org keeps no longer: logs, events, runs and its audit trail, each after its own days.

In bounded steps, any worker, at any time. A log's removal is written down before the first file goes, so a
reader is told and a crash leaves something to go on from. Runs that have not ended are never touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from uuid import UUID

import structlog
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from apps.background.patience import each
from apps.orgs.models import Org
from apps.orgs.tenancy import org_scope
from apps.runs.models import ENDED, LogPart, Run
from apps.runs.outputs import storage

logger = structlog.get_logger(__name__)

AT_ONCE = 500  # things asked for in one query, and rows removed by one statement
MOST = 20_000  # things of a kind removed by one call; the next one goes on


@dataclass(frozen=True, slots=True)
class Removed:
    """How much went."""

    logs: int
    runs: int
    events: int
    audit: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What there is of one kind. `days` None: for ever; `bytes` None: not measured."""

    name: str
    days: int | None
    rows: int
    bytes: int | None


def apply() -> Removed:
    """Remove what is due. Safe to repeat, to run twice at once, and to go on after a crash."""
    removed = Removed(
        logs=remove_logs(),
        runs=remove_runs(),
        events=_in_batches("runs_remove_org_events"),
        audit=_in_batches("orgs_prune_audit"),
    )
    if any(asdict(removed).values()):
        logger.info("removed for age", **asdict(removed))
    return removed


# logs


def remove_logs() -> int:
    """Logs of runs that ended long enough ago. Answers of how many runs."""
    each(_found("runs_logs_going"), _finish)  # what a crash or the storage left
    removed = 0
    while removed < MOST and (due := _found("runs_logs_due")):
        gone = each(due, _remove_log)
        if not gone:
            break
        removed += gone
    return removed


def _remove_log(org_id: UUID, run_id: UUID) -> bool:
    """Whether its removal has begun at least: what is left then goes with the next call."""
    if not begin(org_id, run_id):
        return False
    _finish(org_id, run_id)
    return True


def begin(org_id: UUID, run_id: UUID) -> bool:
    """From now on readers are told that the log is gone. False when the run was started again."""
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
    except Exception:  # each storage raises its own kinds, and none may keep other orgs' logs
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
    """What a reader of a log is told about lines that were removed."""
    if not run.log_removed:
        return ""
    days = [kept for kept in (org.keep_logs_days, org.keep_runs_days) if kept is not None]
    after = f" after {min(days)} days" if days else ""
    if run.log_removed >= run.log_lines:
        return f"The log of this run was removed{after}."
    return f"The first {run.log_removed:,} lines were removed{after}."


# runs


def remove_runs() -> int:
    """Runs whose log is gone and whose files were replaced; each pipeline's newest stays."""
    removed = 0
    while removed < MOST and (due := _found("runs_due")):
        gone = each(due, _remove_run)
        if not gone:
            break
        removed += gone
    return removed


def _remove_run(org_id: UUID, run_id: UUID) -> bool:
    """Whether it was there. The database takes along what belongs to it."""
    with org_scope(org_id), connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM runs_run WHERE org_id = %s AND id = %s AND status = ANY(%s)",
            [org_id, run_id, [str(status) for status in ENDED]],
        )
        return bool(cursor.rowcount)


# what is asked of the database across orgs: ids, and counts of what a function removed


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


# sizes


def kept(org: Org) -> list[Kept]:
    """What the org keeps, and for how long. One query."""
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
