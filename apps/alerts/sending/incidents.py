"""Which deliveries open, change and resolve the incidents of PagerDuty and Opsgenie.

Alerts that open at the same time are one incident, so that a burst of failures is not as many requests. It is opened by one
message, and resolved when all its alerts have recovered. The recoveries before the last one are not sent.
"""

from __future__ import annotations

from django.db.models import Q, QuerySet

from apps.alerts import words
from apps.alerts.models import Alert, Delivery, DeliveryKind, DeliveryState, RuleChannel
from apps.orgs.tenancy import OrgQuerySet

STILL_OPEN = (
    "It is part of an incident with other alerts, which is resolved when all have recovered."
)


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
