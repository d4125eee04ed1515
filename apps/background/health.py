"""Check everything that Drover needs, for `/health/ready`, `/metrics` and `manage.py doctor`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from apps.background.database_errors import first_line
from apps.engine.sandbox import layers

TICK = "runs.tick"  # the periodic task whose last run shows that a scheduler is alive
TICK_LATE = 60.0  # seconds
QUEUE_LATE = 60.0  # seconds that a short job may wait
WORKER_SILENT = 60.0  # seconds without a heartbeat
STORAGE_TRUSTED = 30.0  # seconds for which a successful check of the storage is reused


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: what was found, and the next step if there is a problem."""

    part: str
    ok: bool
    seen: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue's state; ages in seconds, None if there is nothing to measure."""

    waiting: int
    oldest_short: float
    heartbeat_age: float | None
    tick_age: float | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts over all orgs; `runs` are those that have not ended, by status."""

    orgs: int
    enabled: int
    runs: dict[str, int]


def counts() -> Counts:
    """Count over all orgs, with the operators' database role."""
    try:
        with connections["ops"].cursor() as cursor:
            cursor.execute(
                """SELECT (SELECT count(*) FROM orgs_org),
                          (SELECT count(*) FROM pipelines_pipeline WHERE enabled)"""
            )
            orgs, enabled = cursor.fetchone()
            cursor.execute(
                """SELECT s.status, count(r.id) FROM (VALUES ('pending'), ('running')) s (status)
                   LEFT JOIN runs_run r ON r.status = s.status GROUP BY 1"""
            )
            return Counts(orgs, enabled, dict(cursor.fetchall()))
    finally:
        connections["ops"].close()


def ready() -> list[Finding]:
    """Check what a web process needs to serve requests. Stops if the database is unavailable."""
    found = [database()]
    if found[0].ok:
        found += [migrations(), *queue_findings(), storage()]
    return [*found, replace(isolation(), ok=True)]  # Everything else works without custom code.


def isolation() -> Finding:
    """Check how strongly this machine isolates custom code, and whether that is sufficient to run it."""
    found = layers.choose_isolation()
    least = settings.SANDBOX_LEAST_ISOLATION
    enough = layers.is_at_least(found.level, least)
    seen = found.summary if enough else f"{found.summary}: custom code will not run"
    if enough and found.open_risks:
        seen = f"{seen}; left open: {found.open_risks} (docs/howto/custom-sources.md)"
    missing = "; ".join(f"{layer}: {why}" for layer, why in found.machine.missing.items())
    return Finding("isolation", enough, seen, f"It has to be {least}. Missing: {missing}.")


def database() -> Finding:
    """Check whether the database responds, and its version."""
    try:
        ((version,),) = rows("SELECT current_setting('server_version')")
    except DatabaseError as error:
        step = "Start PostgreSQL (`make up` does) or correct DATABASE_URL."
        return Finding("database", False, first_line(error), step)
    old = int(str(version).partition(".")[0]) < 15
    return Finding("database", not old, f"PostgreSQL {version}", "Use PostgreSQL 15 or later.")


_migrated = False  # Applied migrations stay applied, and the check takes 50 ms.


def migrations() -> Finding:
    """Check whether the tables match this version of the code."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if missing:
            seen = f"{len(missing)} not applied, the first is {missing[0][0]}"
            return Finding("migrations", False, seen, "Run `manage.py migrate` as app_owner.")
        _migrated = True
    return Finding("migrations", True, "all applied")


def queue() -> Queue:
    """Return waiting jobs, the newest heartbeat of a worker and the scheduler's last tick."""
    ((waiting, oldest, heartbeat, tick),) = rows(
        """SELECT
               (SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'
                AND coalesce(scheduled_at, now()) <= now()),
               (SELECT extract(epoch FROM now() - min(greatest(e.at, j.scheduled_at)))
                FROM procrastinate_jobs j
                JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'
                WHERE j.status = 'todo' AND j.queue_name = 'system'
                AND coalesce(j.scheduled_at, now()) <= now()),
               (SELECT extract(epoch FROM now() - max(last_heartbeat)) FROM procrastinate_workers),
               (SELECT extract(epoch FROM now()) - max(defer_timestamp)
                FROM procrastinate_periodic_defers WHERE task_name = %s)""",
        TICK,
    )
    return Queue(int(waiting), float(oldest or 0.0), _age(heartbeat), _age(tick))


def _age(seconds: Any) -> float | None:
    return None if seconds is None else max(0.0, float(seconds))


def _since(age: float | None) -> str:
    return "never" if age is None else f"{age:.0f} s ago"


def queue_findings() -> list[Finding]:
    """Check whether a worker is alive, and whether schedules are processed."""
    state = queue()
    start = "Start `manage.py worker`, or check its log."
    return [
        Finding(
            "queue",
            state.oldest_short <= QUEUE_LATE,
            f"{state.waiting} jobs are waiting, a short one for {state.oldest_short:.0f} s",
            start,
        ),
        Finding(
            "workers",
            state.heartbeat_age is not None and state.heartbeat_age <= WORKER_SILENT,
            f"last heartbeat {_since(state.heartbeat_age)}",
            start,
        ),
        Finding(
            "scheduler",
            state.tick_age is not None and state.tick_age <= TICK_LATE,
            f"last tick {_since(state.tick_age)}",
            start,
        ),
    ]


_storage_trusted_until = 0.0


def storage() -> Finding:
    """Check whether a small object can be written, read back and deleted; reuses a result of the last half minute."""
    global _storage_trusted_until
    if time.monotonic() < _storage_trusted_until:
        return Finding("storage", True, "written, read and deleted a moment ago")
    found = try_storage()
    if found.ok:
        _storage_trusted_until = time.monotonic() + STORAGE_TRUSTED
    return found


def try_storage() -> Finding:
    """Check the storage now."""
    next_step = "Check DROVER_STORAGE and its settings, the folder's owner, and free space."
    content = uuid4().bytes
    try:
        key = default_storage.save(f"health/{uuid4()}", ContentFile(content))
        with default_storage.open(key, "rb") as file:
            same = file.read() == content
        default_storage.delete(key)
    except Exception as error:  # Each backend raises its own exceptions, and each is a result here.
        return Finding("storage", False, f"{type(error).__name__}: {error}"[:200], next_step)
    return Finding("storage", same, "written, read and deleted", next_step)


def attempt(part: str, look: Callable[[], Finding], next_step: str) -> Finding:
    """Return the result of `look`; a database error is a result too."""
    try:
        return look()
    except DatabaseError as error:
        return Finding(part, False, first_line(error), next_step)


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement without org, as the runtime role."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(sql, list(values))
        return list(cursor.fetchall())
