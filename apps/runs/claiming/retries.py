"""Decide whether a failed attempt is followed by another, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from django.conf import settings

from apps.engine.contract import Failed
from apps.engine.failures import FailureClass

MAX_ATTEMPTS_WITH_PROGRESS = 20  # failed attempts up to the last one that moved records
MAX_CRASHES = 3  # attempts whose process died; another attempt would probably die too
MAX_WAIT = 15 * 60.0  # seconds of back-off, unless the server requests a longer wait
MAX_RETRY_AFTER = 24 * 3600.0  # seconds; a server that requests more gets this wait


@dataclass(frozen=True, slots=True)
class History:
    """Counts of a run's attempts, including the attempt that has just ended."""

    attempts: int  # failed attempts
    idle_attempts: int  # consecutive failed attempts that moved no record
    crashes: int
    max_idle_attempts: int  # the pipeline's limit


def wait_before_next_attempt(failed: Failed, history: History) -> float | None:
    """Return the seconds to wait before the next attempt, or None if there should be no further attempt.

    Attempts that moved records are counted separately from idle ones. So a long sync over an unreliable connection
    may fail often, while a source that refuses every request is retried only a few times.
    """
    if not failed.retryable or failed.failure_class is FailureClass.CANCELLED:
        return None
    if history.crashes >= MAX_CRASHES or history.idle_attempts >= history.max_idle_attempts:
        return None
    if history.attempts - history.idle_attempts >= MAX_ATTEMPTS_WITH_PROGRESS:
        return None
    return max(_back_off_seconds(max(history.idle_attempts, 1)), _requested_wait(failed))


def failure_at_time_limit(failed: Failed, *, wait: float, seconds_left: float) -> Failed:
    """Return the failure, with the explanation that the run would reach its time limit before the next attempt."""
    reason = (
        f"Not retried: the next attempt would have to wait {wait:.0f} s, and the time limit of the "
        f"run leaves {max(seconds_left, 0):.0f} s."
    )
    return replace(failed, evidence=(*failed.evidence, reason))


def _back_off_seconds(idle_attempts: int) -> float:
    """Return a wait that doubles with each idle attempt. Jitter spreads runs that failed at the same time."""
    base: float = settings.RUN_RETRY_WAIT.total_seconds()
    wait: float = min(base * 2 ** (idle_attempts - 1), MAX_WAIT)
    jitter: float = random.uniform(0.5, 1)  # noqa: S311 - not for security
    return wait * jitter


def _requested_wait(failed: Failed) -> float:
    return min(failed.retry_after or 0.0, MAX_RETRY_AFTER)
