"""Delete expired data of orgs: logs, events, runs and audit log, each after its own number of days.

The history of saved positions expires with the runs.

Any worker may do this at any time. Each call removes a limited number of items. The removal of a log is recorded
before its first file is deleted, so readers get a note, and an interrupted removal continues after a crash. Data of
runs that have not ended is never removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from apps.background.retries import apply_to_rows
from apps.engine.sync import position_history
from apps.orgs.models import Org
from apps.orgs.walls.scope import org_scope
from apps.runs.models import ENDED, LogPart, Run
from apps.runs.outputs import storage

logger = structlog.get_logger(__name__)

BATCH_ROWS = 500  # items found by one query, and rows deleted by one statement
MAX_REMOVALS = 20_000  # items of a kind removed per call; the next call continues


@dataclass(frozen=True, slots=True)
class RemovedCounts:
    """The number of removed items."""

    logs: int
    runs: int
    events: int
    audit: int
    positions: int  # changes of saved positions


@dataclass(frozen=True, slots=True)
class StoredAmount:
    """The amount of stored items of one kind.

    `days` is None if the items are stored forever. `bytes` is None if the size is not measured.
    """

    name: str
    days: int | None
    rows: int
    bytes: int | None


def remove_expired_data() -> RemovedCounts:
    """Remove expired data. Safe to repeat, to run concurrently, and to continue after a crash."""
    removed = RemovedCounts(
        logs=remove_logs(),
        runs=remove_runs(),
        events=_remove_in_batches("runs_remove_org_events"),
        audit=_remove_in_batches("orgs_prune_audit"),
        positions=remove_position_changes(),
    )
    if any(asdict(removed).values()):
        logger.info("removed expired data", **asdict(removed))
    return removed


# Logs.


def remove_logs() -> int:
    """Remove expired logs of runs. Returns the number of runs."""
    # First finish removals that a crash or a storage failure has interrupted.
    apply_to_rows(_find_runs("runs_logs_going"), _finish_log_removal)
    removed = 0
    while removed < MAX_REMOVALS and (due_runs := _find_runs("runs_logs_due")):
        count = apply_to_rows(due_runs, _remove_log)
        if not count:
            break
        removed += count
    return removed


def _remove_log(org_id: UUID, run_id: UUID) -> bool:
    """Remove one log. Returns whether its removal has begun; if storage failed, the next call continues it."""
    if not begin_log_removal(org_id, run_id):
        return False
    _finish_log_removal(org_id, run_id)
    return True


def begin_log_removal(org_id: UUID, run_id: UUID) -> bool:
    """Record that the removal of the log begins. Returns False if the run was retried and has not ended."""
    with org_scope(org_id):
        ended_run = Run.objects.for_org(org_id).filter(pk=run_id, status__in=ENDED)
        return bool(ended_run.update(log_removed=F("log_lines"), log_removal_at=Now()))


def _finish_log_removal(org_id: UUID, run_id: UUID) -> bool:
    """Remove the files of the log, then their rows. Returns False if storage failed; the next call tries again."""
    with org_scope(org_id):
        run = Run.objects.for_org(org_id).filter(pk=run_id)
        end_line = run.values_list("log_removed", flat=True).first()
    if end_line is None:
        return False
    try:
        storage.remove_log(org_id, run_id, end_line=end_line)
    # Each storage backend raises its own exceptions. A failure must not prevent the removal of other orgs' logs.
    except Exception:
        logger.exception("log cannot be removed now", org=str(org_id), run=str(run_id))
        return False
    with org_scope(org_id):
        LogPart.objects.for_org(org_id).filter(run_id=run_id, first_line__lt=end_line).delete()
        run.filter(log_removed=end_line).update(log_removal_at=None)
    return True


def was_log_removed_since_read(run: Run) -> bool:
    """Whether lines of the log were removed after `run` was read."""
    with org_scope(run.org_id):
        counts = (
            Run.objects.for_org(run.org_id).filter(pk=run.pk).values_list("log_removed", flat=True)
        )
        return (counts.first() or 0) > run.log_removed


def removal_note(org: Org, run: Run) -> str:
    """Return a note for readers of the log about removed lines; empty if no lines were removed."""
    if not run.log_removed:
        return ""
    limits = [days for days in (org.keep_logs_days, org.keep_runs_days) if days is not None]
    age = f" after {min(limits)} days" if limits else ""
    if run.log_removed >= run.log_lines:
        return f"The log of this run was removed{age}."
    return f"The first {run.log_removed:,} lines were removed{age}."


# Runs.


def remove_runs() -> int:
    """Remove expired runs that have no log and no files any more. Each pipeline's newest run stays."""
    removed = 0
    while removed < MAX_REMOVALS and (due_runs := _find_runs("runs_due")):
        count = apply_to_rows(due_runs, _remove_run)
        if not count:
            break
        removed += count
    return removed


def _remove_run(org_id: UUID, run_id: UUID) -> bool:
    """Delete an ended run, and its backfill with the last run of it. Returns False if there is no such run.

    The database deletes the rows that belong to the run.
    """
    ended = [str(status) for status in ENDED]
    with org_scope(org_id), connection.cursor() as cursor:
        cursor.execute(_DELETE_RUN, [org_id, run_id, ended])
        row = cursor.fetchone()
        if row is not None and row[0] is not None:
            cursor.execute(_DELETE_BACKFILL, [org_id, row[0], ended])
        return row is not None


_DELETE_RUN = """
DELETE FROM runs_run WHERE org_id = %s AND id = %s AND status = ANY(%s) RETURNING backfill_id
"""
_DELETE_BACKFILL = """
DELETE FROM runs_backfill b WHERE org_id = %s AND id = %s AND status = ANY(%s)
AND NOT EXISTS (SELECT 1 FROM runs_run r WHERE r.org_id = b.org_id AND r.backfill_id = b.id)
"""


# The history of saved positions.


def remove_position_changes() -> int:
    """Remove expired changes of saved positions. Returns their number."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, days FROM orgs_with_run_retention()")
        days_by_org = dict(cursor.fetchall())
    removed = 0
    while removed < MAX_REMOVALS and (
        count := position_history.remove_changes(settings.ENGINE_DATABASE_URL, days_by_org)
    ):
        removed += count
    return removed


# Database functions that work on all orgs. They return only ids and counts.


def _find_runs(function: str) -> list[tuple[UUID, UUID]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT org_id, run_id FROM {function}(%s)", [BATCH_ROWS])  # noqa: S608 - constants of this module
        rows: list[tuple[UUID, UUID]] = cursor.fetchall()
    return rows


def _remove_in_batches(function: str) -> int:
    removed = 0
    with connection.cursor() as cursor:
        while removed < MAX_REMOVALS:
            cursor.execute(f"SELECT {function}(%s)", [BATCH_ROWS])
            batch = int(cursor.fetchone()[0])
            if not batch:
                break
            removed += batch
    return removed


# Stored amounts.


def stored_amounts(org: Org) -> list[StoredAmount]:
    """Return the amount of the org's stored data, and for how many days it is stored. Makes one query."""
    days = {
        "logs": org.keep_logs_days,
        "outputs": None,
        "events": org.keep_events_days,
        "runs": org.keep_runs_days,
        "audit": org.keep_audit_days,
    }
    return [
        StoredAmount(name, days[name], rows, size) for name, rows, size in _query_amounts(org.pk)
    ]


def _query_amounts(org_id: UUID) -> Iterator[tuple[str, int, int | None]]:
    with connection.cursor() as cursor:
        cursor.execute(AMOUNTS_QUERY, {"org": org_id})
        yield from cursor.fetchall()


AMOUNTS_QUERY = """
SELECT 'logs', coalesce(sum(lines), 0)::bigint, coalesce(sum(bytes), 0)::bigint
FROM runs_logpart WHERE org_id = %(org)s
UNION ALL SELECT 'outputs', count(*), coalesce(sum(bytes), 0)::bigint FROM runs_output WHERE org_id = %(org)s
UNION ALL SELECT 'events', count(*), coalesce(sum(pg_column_size(body)), 0)::bigint
FROM runs_event WHERE org_id = %(org)s
UNION ALL SELECT 'runs', count(*), NULL FROM runs_run WHERE org_id = %(org)s
UNION ALL SELECT 'audit', count(*), NULL FROM orgs_auditevent WHERE org_id = %(org)s
"""
