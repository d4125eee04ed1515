"""Send what was snoozed and is still open, each minute. What has recovered stays in the log as snoozed."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.alerts import payloads
from apps.alerts.deciding.alerts import add_deliveries
from apps.alerts.deciding.one_by_one import watch_each
from apps.alerts.models import Alert, Delivery, DeliveryState, Snooze
from apps.orgs.walls.scope import org_scope

ORGS_PER_TICK = 500


def tick() -> int:
    """End the snoozes whose time has come. Returns in how many orgs. Raises the first error at the end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id FROM alerts_snoozes_over(%s)", [ORGS_PER_TICK])
        org_ids = [org_id for (org_id,) in cursor.fetchall()]
    return watch_each({str(org_id): partial(end_snoozes, org_id) for org_id in org_ids})


def end_snoozes(org_id: UUID) -> bool:
    """Delete the snoozes that are over, and tell what is still open. Returns whether there was something to do."""
    with org_scope(org_id):
        over = Snooze.objects.for_org(org_id).filter(until__lte=timezone.now())
        # Another worker that ends them at the same time finds no rows after this one has deleted them.
        ended = list(over.select_for_update(of=("self",)))
        Snooze.objects.for_org(org_id).filter(pk__in=[snooze.pk for snooze in ended]).delete()
        released = release(org_id)
        alert_ids = {snooze.alert_id for snooze in ended if snooze.alert_id} - released
        _remind(org_id, alert_ids)
        return bool(ended or released)


def release(org_id: UUID) -> set[UUID]:
    """Send the snoozed deliveries of open alerts that nothing snoozes any more. Returns the ids of these alerts."""
    now = timezone.now()
    snoozed = Delivery.objects.for_org(org_id).filter(state=DeliveryState.SNOOZED)
    snoozes = Snooze.objects.for_org(org_id).filter(
        Q(rule=OuterRef("rule")) | Q(alert=OuterRef("pk")), until__gt=now
    )
    alerts = Alert.objects.for_org(org_id).filter(
        ~Exists(snoozes), closed_at=None, pk__in=snoozed.values("alert_id")
    )
    # A run that closes the alert locks it too. So its recovery is told if, and only if, the opening is.
    alert_ids = set(alerts.select_for_update(no_key=True).values_list("pk", flat=True))
    rows = snoozed.filter(alert_id__in=alert_ids)
    rows.filter(channel__enabled=False).update(
        state=DeliveryState.FAILED, problem="The channel was disabled."
    )
    rows.update(state=DeliveryState.PENDING, problem="", next_attempt_at=now)
    return alert_ids


def _remind(org_id: UUID, alert_ids: set[UUID]) -> None:
    """Tell the channels of these alerts that they are still open."""
    alerts = Alert.objects.for_org(org_id).filter(pk__in=alert_ids, closed_at=None)
    locked = alerts.select_for_update(of=("self",), no_key=True).select_related("rule")
    now = timezone.now()
    reminders = [(each.rule, each, payloads.reminder(each, now)) for each in locked.order_by("pk")]
    add_deliveries(org_id, [reminder for reminder in reminders if reminder[0].enabled])
