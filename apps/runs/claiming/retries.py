"""Whether a failed attempt is followed by another, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from django.conf import settings

from apps.engine.contract import Failed
from apps.engine.failures import FailureClass

MOVING_ATTEMPTS = 20  # attempts that failed although they had moved records
POISON = 3  # attempts whose process died: the fourth would die too
LONGEST_WAIT = 15 * 60.0  # seconds of back-off, unless the other side asks for more
LONGEST_RETRY_AFTER = 24 * 3600.0  # seconds; who asks for more is not believed


@dataclass(frozen=True, slots=True)
class Record:
    """What happened to a run so far, the attempt that just ended included."""

    attempts: int  # that failed
    idle: int  # of them in a row, those that moved no record
    crashes: int
    most_idle: int  # the pipeline's limit


def wait_before_next(failed: Failed, record: Record) -> float | None:
    """Seconds to wait before trying again; None when that cannot help or was tried often enough.

    Attempts that moved records are counted apart from those that did not: a long sync over a bad
    line gets ahead with each, while a source that refuses is asked only a few times.
    """
    if not failed.retryable or failed.failure_class is FailureClass.CANCELLED:
        return None
    if record.crashes >= POISON or record.idle >= record.most_idle:
        return None
    if record.attempts - record.idle >= MOVING_ATTEMPTS:
        return None
    return max(_back_off(max(record.idle, 1)), _asked_for(failed))


def too_late(failed: Failed, *, wait: float, left: float) -> Failed:
    """The same failure, saying why it is the last: it would be over before its next try."""
    reason = (
        f"Not tried again: the next attempt would have to wait {wait:.0f} s, and the time limit of the "
        f"run leaves {max(left, 0):.0f} s."
    )
    return replace(failed, evidence=(*failed.evidence, reason))


def _back_off(number: int) -> float:
    """Doubles with each idle attempt; jitter keeps runs that failed together from coming back together."""
    base: float = settings.RUN_RETRY_WAIT.total_seconds()
    whole: float = min(base * 2 ** (number - 1), LONGEST_WAIT)
    spread: float = random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing
    return whole * spread


def _asked_for(failed: Failed) -> float:
    return min(failed.retry_after or 0.0, LONGEST_RETRY_AFTER)
