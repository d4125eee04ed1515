"""Decide whether a failed attempt is followed by another, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from django.conf import settings

from apps.engine.contract import Failed
from apps.engine.failures import FailureClass

MOVING_ATTEMPTS = 20  # failed attempts that moved records
POISON = 3  # attempts whose process died; another attempt would probably die too
LONGEST_WAIT = 15 * 60.0  # seconds of back-off, unless the other side requests more
LONGEST_RETRY_AFTER = 24 * 3600.0  # seconds; longer requests are ignored


@dataclass(frozen=True, slots=True)
class History:
    """The history of a run, including the attempt that has just ended."""

    attempts: int  # failed attempts
    idle: int  # consecutive failed attempts that moved no record
    crashes: int
    most_idle: int  # the pipeline's limit


def wait_before_next(failed: Failed, history: History) -> float | None:
    """Return the seconds to wait before the next attempt; None if a retry cannot help or there were too many.

    Attempts that moved records are counted separately from those that did not: a long sync over an unreliable
    connection makes progress with each, while a source that refuses is retried only a few times.
    """
    if not failed.retryable or failed.failure_class is FailureClass.CANCELLED:
        return None
    if history.crashes >= POISON or history.idle >= history.most_idle:
        return None
    if history.attempts - history.idle >= MOVING_ATTEMPTS:
        return None
    return max(_back_off(max(history.idle, 1)), _asked_for(failed))


def too_late(failed: Failed, *, wait: float, left: float) -> Failed:
    """Return the failure with an explanation that the run's time limit would end before the next attempt."""
    reason = (
        f"Not retried: the next attempt would have to wait {wait:.0f} s, and the time limit of the "
        f"run leaves {max(left, 0):.0f} s."
    )
    return replace(failed, evidence=(*failed.evidence, reason))


def _back_off(number: int) -> float:
    """Double with each attempt without progress; jitter spreads runs that failed at the same time."""
    base: float = settings.RUN_RETRY_WAIT.total_seconds()
    whole: float = min(base * 2 ** (number - 1), LONGEST_WAIT)
    spread: float = random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing
    return whole * spread


def _asked_for(failed: Failed) -> float:
    return min(failed.retry_after or 0.0, LONGEST_RETRY_AFTER)
