"""Which deliveries open, change and resolve the incidents of PagerDuty and Opsgenie.

Alerts that open at the same time are one incident, so that a burst of failures is not as many requests. It is opened by one
message, and resolved when all its alerts have ended. The recoveries before the last one are not sent.

An alert also ends without a recovery: its rule was deleted or disabled or tells the channel no more, its pipeline was deleted, or
the channel was disabled when it recovered. A tick finds the incidents that nothing has resolved, whatever has ended their alerts.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.alerts import payloads, words
from apps.alerts.deciding.one_by_one import watch_each
from apps.alerts.models import Alert, Channel, Delivery, DeliveryKind, DeliveryState, RuleChannel
from apps.alerts.sending import queue
from apps.orgs.tenancy import OrgQuerySet
from apps.orgs.walls.scope import org_scope

STILL_OPEN = (
    "It is part of an incident with other alerts, which is resolved when all have recovered."
)
ENDED = (
    "has no open alert here any more: it is over, or its rule or pipeline was changed or deleted"
)
INCIDENTS_PER_TICK = 500


def tick() -> int:
    """Let the incidents be resolved whose alerts have ended without a recovery. Returns their number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, channel_id, message_id FROM alerts_ended_incidents(%s)",
            [INCIDENTS_PER_TICK],
        )
        found = cursor.fetchall()
    return watch_each({str(each[2]): partial(add_end, *each) for each in found})


def add_end(org_id: UUID, channel_id: UUID, message_id: UUID) -> bool:
    """Store the delivery that resolves an incident. Returns False if there is one already, or an alert is open."""
    with org_scope(org_id):
        channels = Channel.objects.for_org(org_id).filter(pk=channel_id, enabled=True)
        rows = Delivery.objects.for_org(org_id).filter(channel_id=channel_id)
        # A worker that sends to this channel now locks it too. It is looked at again in the next minute.
        if channels.select_for_update(no_key=True, skip_locked=True).first() is None:
            return False
        opened = rows.filter(message_id=message_id, incident_open=True)
        last = opened.order_by("-created_at", "-pk").first()
        if last is None or is_open(last):
            return False
        alert_ids = list(opened.values_list("payload__alert_id", flat=True))
        unsent = rows.filter(
            kind=DeliveryKind.CLOSED, state=DeliveryState.PENDING, payload__alert_id__in=alert_ids
        )
        if unsent.exists():
            return False
        event = payloads.end(last.payload, timezone.now(), ENDED)
        Delivery.unscoped.create(
            org_id=org_id,
            channel_id=channel_id,
            alert_id=last.alert_id,
            pipeline_id=last.pipeline_id,
            event_id=UUID(event["id"]),
            kind=event["kind"],
            payload=event,
            urgent=True,  # also in quiet hours
        )
        queue.deliver_soon(org_id=org_id, channel_ids=[channel_id])
    return True


def next_update(new: QuerySet[Delivery]) -> QuerySet[Delivery] | None:
    """Return the new deliveries of the next request that opens no incident of an alert, or None if there is none.

    It is a reminder, a test, or the recoveries that resolve an incident. Recoveries that do not resolve theirs are skipped.
    """
    updates = new.exclude(kind=DeliveryKind.OPENED).order_by("created_at", "pk")
    while (first := updates.first()) is not None:
        if first.kind != DeliveryKind.CLOSED:
            return new.filter(pk=first.pk)
        alert_ids = openings(first).values("alert_id")
        recoveries = new.filter(
            Q(pk=first.pk) | Q(kind=DeliveryKind.CLOSED, alert_id__in=alert_ids)
        )
        if not is_open(first):
            openings(first).update(incident_open=False)
            return recoveries
        recoveries.update(state=DeliveryState.SKIPPED, problem=STILL_OPEN)
    return None


def key_of(delivery: Delivery) -> str:
    """Return the key by which the other side recognizes all requests about the incident of this delivery.

    An incident with one alert has the id of the alert, and one with several has the id of the message that has opened it.
    """
    message_ids = list(openings(delivery).values_list("message_id", flat=True)[:2])
    return str(message_ids[0]) if len(message_ids) > 1 else words.alert_id(delivery.payload)


def is_open(delivery: Delivery) -> bool:
    """Whether an alert of the incident of this delivery is open, and its recovery will be told to the channel."""
    links = RuleChannel.objects.for_org(delivery.org_id).filter(channel_id=delivery.channel_id)
    alerts = Alert.objects.for_org(delivery.org_id).filter(
        closed_at=None, rule__enabled=True, rule_id__in=links.values("rule_id")
    )
    return alerts.filter(pk__in=openings(delivery).values("alert_id")).exists()


def openings(delivery: Delivery) -> OrgQuerySet[Delivery]:
    """Return the deliveries of the message that has opened the incident. A test has none."""
    rows = Delivery.objects.for_org(delivery.org_id).filter(
        channel_id=delivery.channel_id, kind=DeliveryKind.OPENED, message_id__isnull=False
    )
    alert_id = delivery.payload["alert_id"]
    if alert_id is None:
        return rows.none()
    # An alert that was deleted with its rule, or with its pipeline, is known by its id only.
    has_alert = Q(alert_id=alert_id) if delivery.alert_id else Q(payload__alert_id=alert_id)
    # Later ones of the same alert were sent again by a person.
    of_alert = rows.filter(has_alert).order_by("created_at", "pk")
    return rows.filter(message_id=of_alert.values_list("message_id", flat=True).first())
