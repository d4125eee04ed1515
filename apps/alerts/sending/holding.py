"""Decide which of the new events are not sent at once: what is snoozed, and what had recovered before it was sent.

The quiet hours and digests of channels are not looked at here, but when a worker sends, because they may change meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.utils import timezone

from apps.alerts.kinds.registry import KINDS
from apps.alerts.models import Alert, Channel, Delivery, DeliveryKind, DeliveryState, Snooze
from apps.orgs.tenancy import OrgQuerySet

RECOVERED_FIRST = "It had recovered before it was sent."
RECOVERED_SNOOZED = "What it ends was snoozed."


def hold_back(org_id: UUID, rows: Sequence[Delivery], channels: Mapping[UUID, Channel]) -> None:
    """Set the states of new rows, which have their alerts with their rules.

    A snoozed rule holds back what opens. Of what was told before, the recovery is told all the same, so that nothing stays
    open elsewhere.
    """
    snoozes = _snoozes_by_rule(org_id, rows)
    waiting = _snoozed_openings(org_id, rows)
    for row in rows:
        rule = row.alert.rule if row.alert else None
        is_closing = row.kind == DeliveryKind.CLOSED
        row.urgent = rule is not None and rule.urgent
        if is_closing and (row.alert_id, row.channel_id) in waiting:
            row.state, row.problem = DeliveryState.SNOOZED, RECOVERED_SNOOZED
        elif row.alert and is_closing and KINDS[channels[row.channel_id].kind].opens_incidents:
            # What is open elsewhere is closed at once, also in quiet hours. What is not open there stays so.
            row.urgent = True
            if _skip_opening(org_id, row.alert, row.channel_id):
                row.state, row.problem = DeliveryState.SKIPPED, RECOVERED_FIRST
        elif not is_closing and rule is not None and (snooze := snoozes.get(rule.pk)):
            row.state, row.problem = DeliveryState.SNOOZED, snooze.problem


def untold(org_id: UUID) -> OrgQuerySet[Delivery]:
    """Return what has opened and is not part of a message yet."""
    return Delivery.objects.for_org(org_id).filter(
        state=DeliveryState.PENDING, message_id=None, kind=DeliveryKind.OPENED
    )


def _snoozes_by_rule(org_id: UUID, rows: Sequence[Delivery]) -> dict[UUID, Snooze]:
    rules = {row.alert.rule_id for row in rows if row.alert and row.kind != DeliveryKind.CLOSED}
    found = Snooze.objects.for_org(org_id).filter(rule_id__in=rules, until__gt=timezone.now())
    return {snooze.rule_id: snooze for snooze in found if snooze.rule_id} if rules else {}


def _snoozed_openings(org_id: UUID, rows: Sequence[Delivery]) -> set[tuple[UUID | None, UUID]]:
    closed = [row.alert_id for row in rows if row.alert_id and row.kind == DeliveryKind.CLOSED]
    if not closed:
        return set()
    found = Delivery.objects.for_org(org_id).filter(
        alert_id__in=closed, state=DeliveryState.SNOOZED, kind=DeliveryKind.OPENED
    )
    return set(found.values_list("alert_id", "channel_id"))


def _skip_opening(org_id: UUID, alert: Alert, channel_id: UUID) -> int:
    opening = untold(org_id).filter(alert=alert, channel_id=channel_id)
    return opening.update(state=DeliveryState.SKIPPED, problem=RECOVERED_FIRST)
