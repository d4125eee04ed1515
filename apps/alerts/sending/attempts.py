"""When a message is sent again that was not accepted."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.db.models import Q

from apps.alerts.kinds.answers import Answer

CLAIM = timedelta(minutes=2)  # longer than one attempt takes
FIRST_WAIT = 30.0  # seconds between the first two attempts, about
LONGEST_WAIT = 2 * 3600.0  # seconds
GIVE_UP_AFTER = timedelta(hours=24)  # after the first attempt
FARTHEST = timedelta(hours=3)  # a later time was set by a computer whose clock was wrong
MAX_ATTEMPTS = 100  # more than there are in GIVE_UP_AFTER, unless each worker dies


def is_due(now: datetime) -> Q:
    """Return the condition for what has to be sent now."""
    return Q(next_attempt_at__lte=now) | is_too_far(now)


def is_too_far(now: datetime) -> Q:
    """Return the condition for what would wait until a time that a computer with a wrong clock has set."""
    return Q(next_attempt_at__gt=now + FARTHEST)


def time_of_next_attempt(
    answer: Answer, *, attempt: int, first_attempt_at: datetime, now: datetime
) -> datetime | None:
    """Return when to try again after this attempt, which counts from 1, or None: the message has failed."""
    if not answer.retryable:
        return None
    wait = min(FIRST_WAIT * 2 ** min(attempt - 1, 20), LONGEST_WAIT)
    wait *= random.uniform(0.75, 1.25)  # noqa: S311 - spreads load
    wait = max(wait, min(answer.retry_after or 0.0, LONGEST_WAIT))
    at = now + timedelta(seconds=wait)
    return at if at <= first_attempt_at + GIVE_UP_AFTER else None
