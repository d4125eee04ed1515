"""Open and close alerts, and store a delivery for each channel of their rules. This sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.alerts import payloads
from apps.alerts.deciding.ended_runs import EndedRun
from apps.alerts.models import (
    Alert,
    Channel,
    Delivery,
    DeliveryKind,
    Rule,
    RuleChannel,
    SubjectKind,
)
from apps.alerts.rule_kinds.verdicts import Finding
from apps.alerts.sending import queue
from apps.alerts.sending.holding import hold_back
from apps.auth.models import new_id


def open_alerts(
    org_id: UUID,
    found: Sequence[tuple[Rule, payloads.Subject, Finding]],
    *,
    at: datetime,
    run: EndedRun | None = None,
) -> None:
    """Open an alert of each rule about a subject. None of them is open already."""
    opened: list[tuple[Rule, Alert, payloads.Event]] = []
    for rule, subject, finding in found:
        columns = _columns(subject, finding)
        alert = Alert(id=new_id(), org_id=org_id, rule=rule, opened_at=at, **columns)
        alert.cause = event = payloads.event(
            DeliveryKind.OPENED,
            alert=alert,
            subject=subject,
            at=at,
            run=run,
            summary=finding.text,
            measurement=finding.measurement,
        )
        opened.append((rule, alert, event))
    Alert.unscoped.bulk_create(alert for _, alert, _ in opened)
    add_deliveries(org_id, opened)


def close_alerts(
    org_id: UUID,
    alerts: Sequence[tuple[Alert, str]],
    *,
    at: datetime,
    run: EndedRun | None = None,
) -> None:
    """Close these alerts, each with the text that says why. Those of disabled rules are closed quietly."""
    rows = Alert.objects.for_org(org_id)
    rows.filter(pk__in=[alert.pk for alert, _ in alerts]).update(closed_at=at)
    told: list[tuple[Rule, Alert, payloads.Event]] = []
    for alert, text in alerts:
        if alert.rule.enabled:
            subject = payloads.subject_of(alert)
            event = payloads.event(
                DeliveryKind.CLOSED, alert=alert, subject=subject, at=at, run=run, summary=text
            )
            # The rule may have another kind by now. Who may read the event depends on the kind that has opened the alert.
            told.append((alert.rule, alert, {**event, "rule": alert.cause["rule"]}))
    add_deliveries(org_id, told)


def _columns(subject: payloads.Subject, finding: Finding) -> dict[str, Any]:
    """Return the columns of an alert about this subject."""
    if subject["kind"] == SubjectKind.PIPELINE:
        return {"pipeline_id": UUID(subject["id"])}
    return {"subject_kind": subject["kind"], "subject_key": finding.key or subject["id"]}


def add_deliveries(org_id: UUID, alerts: Sequence[tuple[Rule, Alert, payloads.Event]]) -> None:
    """Store a delivery for each enabled channel of each rule. The same event has the same id in all channels."""
    if not alerts:
        return
    rule_ids = [rule.pk for rule, _, _ in alerts]
    rows = RuleChannel.objects.for_org(org_id).filter(rule_id__in=rule_ids, channel__enabled=True)
    channels: dict[UUID, Channel] = {}
    channels_by_rule: dict[UUID, list[UUID]] = {}
    for row in rows.select_related("channel").order_by("channel_id"):
        channels[row.channel_id] = row.channel
        channels_by_rule.setdefault(row.rule_id, []).append(row.channel_id)
    deliveries = [
        Delivery(
            org_id=org_id,
            channel_id=channel_id,
            alert=alert,
            pipeline_id=alert.pipeline_id,
            event_id=UUID(event["id"]),
            kind=event["kind"],
            payload=event,
        )
        for rule, alert, event in alerts
        for channel_id in channels_by_rule.get(rule.pk, [])
    ]
    hold_back(org_id, deliveries, channels)
    Delivery.unscoped.bulk_create(deliveries)
    now = timezone.now()
    queue.deliver_soon(
        org_id=org_id,
        channel_ids=[pk for pk, channel in channels.items() if _sends_at_once(channel, now)],
    )


def _sends_at_once(channel: Channel, now: datetime) -> bool:
    """Whether a worker delivers now. The tick finds later what channels group or hold now."""
    return all(
        until is None or until <= now for until in (channel.grouped_until, channel.held_until)
    )
