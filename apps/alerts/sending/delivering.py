"""Send the deliveries that were decided.

The rows say what has to be sent; a job only wakes a worker. A worker claims one message of a channel in a transaction,
sends it outside of any transaction, and stores the answer in a second one. If the worker dies in between, the message is
due again after CLAIM, and is sent with the same ids. So a message arrives at least once.

The first event goes at once. Events that follow within GROUPING are sent together in one message; the module `incidents` says
how for kinds of channels that open incidents. What happens in the quiet hours of a channel, or before its next digest, is
kept and sent in one message afterwards, unless its rule is urgent. Events of a pipeline wait while a message with an earlier event of this pipeline is being sent again, so that they arrive in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.alerts import payloads
from apps.alerts.kinds.answers import Answer
from apps.alerts.kinds.email import owner_addresses
from apps.alerts.kinds.registry import KINDS, SETTINGS
from apps.alerts.models import Channel, Delivery, DeliveryKind, DeliveryState
from apps.alerts.payloads import Recovery
from apps.alerts.sending import incidents, queue, timing
from apps.alerts.sending.attempts import (
    CLAIM,
    FARTHEST,
    MAX_ATTEMPTS,
    is_due,
    is_too_far,
    time_of_next_attempt,
)
from apps.auth.mailing import mail
from apps.auth.models import new_id
from apps.background.sweeping import remove_in_batches
from apps.orgs import audit
from apps.orgs.exceptions import SecretUnreadable
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.walls.scope import org_scope

logger = structlog.get_logger(__name__)

GROUPING = timedelta(seconds=60)  # how long the events after a message are collected
TOO_MANY_REQUESTS = 429  # of HTTP
DISABLE_AFTER = timedelta(days=7)  # of failures without a success
KEEP = timedelta(days=90)
MESSAGES_PER_JOB = 20
CHANNELS_PER_TICK = 500


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A message that this worker sends now."""

    org: Org
    channel: Channel
    message: payloads.Message
    attempt: int
    first_attempt_at: datetime
    is_test: bool

    @property
    def id(self) -> UUID:
        return UUID(self.message["id"])


def tick() -> int:
    """Defer jobs for the channels to which something has to be sent now. Returns their number."""
    due = channels_due()
    for org_id, channel_id in due:
        queue.deliver_soon(org_id=org_id, channel_ids=[channel_id])
    return len(due)


def channels_due() -> list[tuple[UUID, UUID]]:
    """Return the orgs and channels to which something has to be sent now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, channel_id FROM alerts_channels_due(%s)", [CHANNELS_PER_TICK]
        )
        return list(cursor.fetchall())


def deliver(*, org_id: UUID, channel_id: UUID) -> None:
    """Send the messages of this channel that are due. Does nothing if the org has no such channel."""
    for _ in range(MESSAGES_PER_JOB):
        claimed = _claim(org_id, channel_id)
        if claimed is None:
            return
        _record(claimed, _send(claimed))


def remove_old() -> None:
    """Delete deliveries and closed alerts that are older than KEEP."""
    remove_in_batches("alerts_remove_old", timezone.now() - KEEP)


def _send(claimed: ClaimedMessage) -> Answer:
    try:
        settings = SETTINGS.unsealed(claimed.org, claimed.channel)
    except SecretUnreadable:
        return Answer("The channel's secret cannot be decrypted: enter it again.")
    return KINDS[claimed.channel.kind].send(claimed.message, settings, claimed.org)


def _claim(org_id: UUID, channel_id: UUID) -> ClaimedMessage | None:
    """Return the next message that is due, or None. No other worker sends it within CLAIM."""
    with org_scope(org_id):
        org = Org.objects.get(pk=org_id)
        channels = Channel.objects.for_org(org).filter(pk=channel_id, enabled=True)
        # If another worker claims a message of this channel now, it goes on with the others.
        channel = channels.select_for_update(skip_locked=True, no_key=True).first()
        if channel is None or org.suspended_at is not None or org.deletion_at is not None:
            return None
        now = timezone.now()
        pending = Delivery.objects.for_org(org).filter(channel=channel, state=DeliveryState.PENDING)
        pending.filter(attempts__gte=MAX_ATTEMPTS).update(
            state=DeliveryState.FAILED, problem="Each attempt was interrupted."
        )
        message_id = _message_to_repeat(pending, now) or _new_message(channel, pending, now)
        if message_id is None:
            return None
        return _claim_message(org, channel, pending.filter(message_id=message_id), now)


def _message_to_repeat(pending: QuerySet[Delivery], now: datetime) -> UUID | None:
    due = pending.filter(is_due(now), message_id__isnull=False)
    return due.order_by("next_attempt_at", "pk").values_list("message_id", flat=True).first()


def _new_message(channel: Channel, pending: QuerySet[Delivery], now: datetime) -> UUID | None:
    """Make one message of all new events, and begin to group the events that follow."""
    if channel.grouped_until is not None and now < channel.grouped_until <= now + FARTHEST:
        return None
    tried = pending.filter(message_id__isnull=False).exclude(kind=DeliveryKind.TEST)
    message_id = new_id()
    new = pending.filter(is_due(now), message_id=None)
    new = new.exclude(pipeline_id__in=tried.filter(pipeline__isnull=False).values("pipeline_id"))
    if tried.filter(pipeline=None).exists():  # What is about no pipeline keeps its order too.
        new = new.exclude(pipeline=None)
    hold = timing.hold(channel.timing, now)
    if hold:
        new = new.filter(Q(urgent=True) | Q(next_attempt_at__lt=hold.since) | is_too_far(now))
        if not new.exists():
            channel.held_until = hold.until
            channel.save(update_fields=["held_until"])
            return None
    if KINDS[channel.kind].opens_incidents:
        if (update := incidents.next_update(new)) is not None:
            return message_id if update.update(message_id=message_id) else None
        new = new.filter(kind=DeliveryKind.OPENED)
    is_incident = KINDS[channel.kind].opens_incidents
    if not new.update(message_id=message_id, incident_open=is_incident):
        return None
    channel.grouped_until = now + GROUPING
    channel.save(update_fields=["grouped_until"])
    return message_id


def _claim_message(
    org: Org, channel: Channel, rows: QuerySet[Delivery], now: datetime
) -> ClaimedMessage:
    rows.update(
        attempts=F("attempts") + 1,
        first_attempt_at=Coalesce(F("first_attempt_at"), now),
        next_attempt_at=now + CLAIM,
    )
    first_rows = list(rows.order_by("created_at", "pk")[: payloads.MAX_EVENTS])
    first = first_rows[0]
    message = payloads.message(
        first.message_id or new_id(),
        org=org,
        channel=channel,
        count=rows.count(),
        events=[row.payload for row in first_rows],
        recoveries=_recoveries(rows, first_rows),
    )
    if KINDS[channel.kind].opens_incidents:
        message["incident_key"] = incidents.key_of(first)
    return ClaimedMessage(
        org=org,
        channel=channel,
        message=message,
        attempt=first.attempts,
        first_attempt_at=first.first_attempt_at or now,
        is_test=first.kind == DeliveryKind.TEST,
    )


def _recoveries(rows: QuerySet[Delivery], listed: Sequence[Delivery]) -> tuple[int, list[Recovery]]:
    """Return how many alerts have opened and closed in the message, and when and how the listed ones have closed."""
    opened = rows.filter(kind=DeliveryKind.OPENED).values("alert_id")
    closed = rows.filter(kind=DeliveryKind.CLOSED, alert_id__in=opened)
    listed_ids = [row.alert_id for row in listed if row.alert_id]
    events = closed.filter(alert_id__in=listed_ids).order_by("created_at", "pk")
    return closed.count(), [
        {"alert_id": str(event["alert_id"]), "at": event["at"], "summary": event["summary"]}
        for event in events.values_list("payload", flat=True)
    ]


def _record(claimed: ClaimedMessage, answer: Answer) -> None:
    """Store the answer. Does nothing if the channel was deleted meanwhile."""
    now = timezone.now()
    with org_scope(claimed.org.pk):
        channels = Channel.objects.for_org(claimed.org).filter(pk=claimed.channel.pk)
        channel = channels.select_for_update(no_key=True).first()
        if channel is None:
            return
        rows = Delivery.objects.for_org(claimed.org).filter(
            channel=channel, message_id=claimed.id, state=DeliveryState.PENDING
        )
        answered = {"answer_status": answer.status, "answer": answer.text[:500]}
        if answer.accepted:
            rows.update(state=DeliveryState.SENT, sent_at=now, problem="", **answered)
            channels.filter(failing_since__isnull=False).update(failing_since=None)
            return
        # If this worker was slower than CLAIM, another one has begun the next attempt, whose answer counts.
        rows = rows.filter(attempts=claimed.attempt)
        next_attempt_at = (
            None
            if claimed.is_test
            else time_of_next_attempt(
                answer, attempt=claimed.attempt, first_attempt_at=claimed.first_attempt_at, now=now
            )
        )
        changes: dict[str, Any] = {"problem": answer.problem[:300], **answered}
        if next_attempt_at is None:
            changes["state"] = DeliveryState.FAILED
        else:
            changes["next_attempt_at"] = next_attempt_at
            if answer.status == TOO_MANY_REQUESTS:  # New messages would be refused too.
                channel.grouped_until = next_attempt_at
        if rows.update(**changes):
            _record_failure(claimed.org, channel, now)
    logger.info("alert not accepted", channel=str(channel.pk), status=answer.status)


def _record_failure(org: Org, channel: Channel, now: datetime) -> None:
    """Remember since when the channel fails. After DISABLE_AFTER, disable it and tell the owners by mail."""
    if channel.failing_since is None:
        channel.failing_since = now
    if now - channel.failing_since >= DISABLE_AFTER:
        reason = (
            f"It has failed since {channel.failing_since:%Y-%m-%d}: correct it, then enable it."
        )
        channel.enabled, channel.disabled_reason = False, reason
        fail_pending(channel, "The channel was disabled.")
        audit.record(
            org=org,
            by=SYSTEM,
            action="alert_channel.disable",
            object_kind="alert_channel",
            object_id=channel.pk,
            object_label=channel.name,
            changes={"enabled": [True, False]},
        )
        for address in owner_addresses(org):
            mail.request_notice(address, "alert-channel-disabled")
    channel.save(update_fields=["failing_since", "enabled", "disabled_reason", "grouped_until"])


def fail_pending(channel: Channel, problem: str) -> None:
    """Give up what is not sent, because the channel no longer sends. It stays in the log and can be sent again."""
    Delivery.objects.for_org(channel.org_id).filter(
        channel=channel, state=DeliveryState.PENDING
    ).update(state=DeliveryState.FAILED, problem=problem)
