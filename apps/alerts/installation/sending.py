"""Send the messages to operators, from web processes. A process claims a message before it sends it, so that others do not.

If the process dies meanwhile, another one sends the message again after CLAIM, with the same id.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db.models import F
from django.utils import timezone

from apps.alerts.installation import routes
from apps.alerts.models import DeliveryState, OperatorMessage, OperatorRoute
from apps.alerts.sending.attempts import is_due

logger = structlog.get_logger(__name__)

CLAIM = timedelta(minutes=2)  # longer than one attempt takes
FIRST_WAIT = timedelta(seconds=30)  # between the first two attempts, and twice as long after each
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=24)
KEEP = timedelta(days=90)
MESSAGES_AT_ONCE = 20


def send_due() -> int:
    """Send the messages that are due and that no other process sends now. Returns how many were accepted."""
    due = OperatorMessage.objects.filter(is_due(timezone.now()), state=DeliveryState.PENDING)
    return sum(_send(message) for message in due.order_by("created_at", "pk")[:MESSAGES_AT_ONCE])


def remove_old() -> None:
    """Delete messages that are older than KEEP."""
    OperatorMessage.objects.filter(created_at__lt=timezone.now() - KEEP).delete()


def _send(message: OperatorMessage) -> bool:
    rows = OperatorMessage.objects.filter(pk=message.pk, state=DeliveryState.PENDING)
    claimed = rows.filter(attempts=message.attempts).update(
        attempts=F("attempts") + 1, next_attempt_at=timezone.now() + CLAIM
    )
    if not claimed:
        return False
    answer = routes.send(message.payload, OperatorRoute(message.route))
    now = timezone.now()
    if answer.accepted:
        rows.update(state=DeliveryState.SENT, sent_at=now, problem="")
        return True
    wait = min(FIRST_WAIT * 2 ** min(message.attempts, 10), LONGEST_WAIT)
    is_given_up = not answer.retryable or now + wait > message.created_at + GIVE_UP_AFTER
    rows.filter(attempts=message.attempts + 1).update(
        problem=answer.problem[:300],
        next_attempt_at=now + wait,
        state=DeliveryState.FAILED if is_given_up else DeliveryState.PENDING,
    )
    logger.warning("message to operators not accepted", route=message.route, problem=answer.problem)
    return False
