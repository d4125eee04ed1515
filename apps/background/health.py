"""Check the services that Drover needs, for `/health/ready`, `/metrics` and `manage.py doctor`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.mail import get_connection
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from apps.background.database_errors import first_line
from apps.engine.sandbox import layers

TICK_TASK = "runs.tick"  # a periodic task; its last run shows whether a scheduler is alive
MAX_TICK_AGE = 60.0  # seconds
MAX_QUEUE_DELAY = 60.0  # seconds that a short job may wait
MAX_HEARTBEAT_AGE = 60.0  # seconds
MIN_FREE_BYTES = 1 << 30
STORAGE_CHECK_LIFETIME = 30.0  # seconds for which a successful check of the storage is reused


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `seen` is what the check found, `next_step` how to solve a problem."""

    part: str
    ok: bool
    seen: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class QueueState:
    """The state of the queue. Ages are in seconds; None if there was no heartbeat or tick yet."""

    waiting: int
    oldest_short_job_age: float
    heartbeat_age: float | None
    tick_age: float | None


def check_readiness() -> list[Finding]:
    """Check what a web process needs to serve requests. If the database is unavailable, checks only isolation as well."""
    findings = [check_database()]
    if findings[0].ok:
        findings += [check_migrations(), *check_queue(), check_storage()]
    # Weak isolation stops only custom code, so the process still counts as ready.
    return [*findings, replace(check_isolation(), ok=True)]


def check_isolation() -> Finding:
    """Check the level at which this machine isolates custom code, and whether custom code may run at this level."""
    isolation = layers.choose_isolation()
    required = settings.SANDBOX_LEAST_ISOLATION
    is_sufficient = layers.is_at_least(isolation.level, required)
    seen = isolation.summary if is_sufficient else f"{isolation.summary}: custom code will not run"
    if is_sufficient and isolation.open_risks:
        seen = f"{seen}; remaining risk: {isolation.open_risks} (docs/howto/custom-sources.md)"
    missing = "; ".join(f"{layer}: {reason}" for layer, reason in isolation.machine.missing.items())
    return Finding(
        "isolation",
        is_sufficient,
        seen,
        f"The level must be at least {required}. Missing: {missing}.",
    )


def check_database() -> Finding:
    """Check whether the database responds, and its version."""
    try:
        ((version,),) = fetch_rows("SELECT current_setting('server_version')")
    except DatabaseError as error:
        next_step = "Start PostgreSQL (`make up` does) or correct DATABASE_URL."
        return Finding("database", False, first_line(error), next_step)
    is_too_old = int(str(version).partition(".")[0]) < 15
    return Finding(
        "database", not is_too_old, f"PostgreSQL {version}", "Use PostgreSQL 15 or later."
    )


# Do not repeat a successful check: it takes 50 ms, and applied migrations are never removed.
_migrated = False


def check_migrations() -> Finding:
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


def read_queue_state() -> QueueState:
    """Return the number of waiting jobs, and the ages of the oldest short job, the newest heartbeat and the last tick.

    If the clock was set back, times before it are in the future. Such a time is no sign of life, so its distance counts.
    """
    ((waiting, oldest, heartbeat, tick),) = fetch_rows(
        """SELECT
               (SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'
                AND coalesce(scheduled_at, now()) <= now()),
               (SELECT extract(epoch FROM now() - min(greatest(e.at, j.scheduled_at)))
                FROM procrastinate_jobs j
                JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'
                WHERE j.status = 'todo' AND j.queue_name = 'system'
                AND coalesce(j.scheduled_at, now()) <= now()),
               (SELECT min(abs(extract(epoch FROM now() - last_heartbeat))) FROM procrastinate_workers),
               (SELECT abs(extract(epoch FROM now()) - defer_timestamp)
                FROM procrastinate_periodic_defers WHERE task_name = %s ORDER BY id DESC LIMIT 1)""",
        TICK_TASK,
    )
    return QueueState(int(waiting), float(oldest or 0.0), _as_age(heartbeat), _as_age(tick))


def has_living_worker() -> bool:
    """Whether a worker has sent a heartbeat lately."""
    ((age,),) = fetch_rows(
        "SELECT extract(epoch FROM now() - max(last_heartbeat)) FROM procrastinate_workers"
    )
    return age is not None and age <= MAX_HEARTBEAT_AGE


def _as_age(seconds: Any) -> float | None:
    return None if seconds is None else float(seconds)


def _age_text(age: float | None) -> str:
    return "never" if age is None else f"{age:.0f} s ago"


def check_queue() -> list[Finding]:
    """Check whether a worker is alive, and whether schedules are processed."""
    state = read_queue_state()
    next_step = "Start `manage.py worker`, or check its log."
    return [
        Finding(
            "queue",
            state.oldest_short_job_age <= MAX_QUEUE_DELAY,
            f"{state.waiting} jobs are waiting, a short one for {state.oldest_short_job_age:.0f} s",
            next_step,
        ),
        Finding(
            "workers",
            state.heartbeat_age is not None and state.heartbeat_age <= MAX_HEARTBEAT_AGE,
            f"last heartbeat {_age_text(state.heartbeat_age)}",
            next_step,
        ),
        Finding(
            "scheduler",
            state.tick_age is not None and state.tick_age <= MAX_TICK_AGE,
            f"last tick {_age_text(state.tick_age)}",
            next_step,
        ),
    ]


_storage_checked_until = 0.0


def check_storage() -> Finding:
    """Check whether a small object can be written, read and deleted. A success is reused for half a minute."""
    global _storage_checked_until
    if time.monotonic() < _storage_checked_until:
        return Finding("storage", True, "written, read and deleted a moment ago")
    finding = check_storage_now()
    if finding.ok:
        _storage_checked_until = time.monotonic() + STORAGE_CHECK_LIFETIME
    return finding


def check_storage_now() -> Finding:
    """Check whether a small object can be written, read and deleted."""
    next_step = "Check DROVER_STORAGE and its settings, the folder's owner, and free space."
    content = uuid4().bytes
    try:
        key = default_storage.save(f"health/{uuid4()}", ContentFile(content))
        with default_storage.open(key, "rb") as file:
            is_same = file.read() == content
        default_storage.delete(key)
    except Exception as error:  # Each backend raises its own exceptions. Every one is a finding.
        return Finding("storage", False, f"{type(error).__name__}: {error}"[:200], next_step)
    return Finding("storage", is_same, "written, read and deleted", next_step)


def check_mail() -> Finding:
    """There is a mail server that accepts our login. A local installation may write mail to files instead."""
    step = "Set DROVER_MAIL_URL to smtp://user:password@host:587."
    if not settings.MAIL_URL:
        seen = f"no mail server: mail goes to files in {settings.EMAIL_FILE_PATH}"
        return Finding("mail", not settings.BEHIND_TLS, seen, step if settings.BEHIND_TLS else "")
    try:
        server = get_connection()
        server.open()
        server.close()
    except OSError as error:  # The errors of smtplib are OSErrors too.
        step = "Correct DROVER_MAIL_URL (smtp://user:password@host:587), or start the mail server."
        return Finding("mail", False, f"{settings.EMAIL_HOST}: {error}", step)
    return Finding("mail", True, f"login to {settings.EMAIL_HOST} works")


def check_disk_space() -> Finding:
    """The disk with the keys, the files and the local database has at least 1 GiB of free space."""
    try:
        free = shutil.disk_usage(settings.DROVER_HOME).free
    except OSError as error:
        step = "Create the folder, or set DROVER_HOME."
        return Finding("disk", False, f"{settings.DROVER_HOME}: {error.strerror}", step)
    step = "Free some space, or set DROVER_HOME to another disk."
    return Finding("disk", free >= MIN_FREE_BYTES, f"{free / (1 << 30):.1f} GB free", step)


def run_check(part: str, check: Callable[[], Finding], next_step: str) -> Finding:
    """Return the finding of `check`. A database error becomes a finding too."""
    try:
        return check()
    except DatabaseError as error:
        return Finding(part, False, first_line(error), next_step)


def fetch_rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that reads no org's tables. It uses the application's database role."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(sql, list(values))
        return list(cursor.fetchall())
