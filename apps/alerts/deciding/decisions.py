"""Decide who is told that a run has ended. This sends nothing.

A rule opens at most one alert for a pipeline. While the alert is open, further failures of the pipeline are not told. The
next success closes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
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
    RuleKind,
    Scope,
)
from apps.alerts.sending import queue
from apps.auth.models import new_id
from apps.pipelines.models import Pipeline
from apps.runs.models import ORDINARY_RUNS, Run, Status


def decide(org_id: UUID, run: EndedRun) -> None:
    """Open or close the alerts of the pipeline, and store the deliveries."""
    if run.status == Status.FAILED:
        _open_alerts(org_id, run)
    elif run.status == Status.SUCCEEDED:
        _close_alerts(org_id, run)


def _open_alerts(org_id: UUID, run: EndedRun) -> None:
    rules = [rule for rule in _rules_for(org_id, run) if _is_due(rule, org_id, run)]
    if not rules:
        return
    opened_at = run.finished_at
    alerts: list[tuple[Rule, Alert, payloads.Event]] = []
    for rule in rules:
        alert_id = new_id()
        event = payloads.event(
            DeliveryKind.OPENED, rule=rule, alert_id=alert_id, opened_at=opened_at, run=run
        )
        alert = Alert(
            id=alert_id,
            org_id=org_id,
            rule=rule,
            pipeline_id=run.pipeline_id,
            opened_at=opened_at,
            cause=event,
        )
        alerts.append((rule, alert, event))
    Alert.unscoped.bulk_create(alert for _, alert, _ in alerts)
    _add_deliveries(org_id, alerts)


def _close_alerts(org_id: UUID, run: EndedRun) -> None:
    open_alerts = Alert.objects.for_org(org_id).filter(pipeline_id=run.pipeline_id, closed_at=None)
    alerts = list(open_alerts.select_related("rule").order_by("pk"))
    if not alerts:
        return
    open_alerts.update(closed_at=run.finished_at)
    _add_deliveries(
        org_id,
        [
            (
                alert.rule,
                alert,
                payloads.event(
                    DeliveryKind.CLOSED,
                    rule=alert.rule,
                    alert_id=alert.pk,
                    opened_at=alert.opened_at,
                    run=run,
                ),
            )
            for alert in alerts
            if alert.rule.enabled
        ],
    )


def _rules_for(org_id: UUID, run: EndedRun) -> Iterable[Rule]:
    """Return the enabled rules for this pipeline that have no open alert for it."""
    pipeline = Pipeline.objects.for_org(org_id).only("domain_id", "tags").get(pk=run.pipeline_id)
    scope = Q(scope=Scope.ORG) | Q(pipeline=pipeline) | Q(scope=Scope.TAG, tag__in=pipeline.tags)
    if pipeline.domain_id:
        scope |= Q(domain_id=pipeline.domain_id)
    open_alerts = Alert.objects.for_org(org_id).filter(
        rule=OuterRef("pk"), pipeline=pipeline, closed_at=None
    )
    rules = Rule.objects.for_org(org_id).filter(scope, ~Exists(open_alerts), enabled=True)
    return rules.order_by("pk")


def _is_due(rule: Rule, org_id: UUID, run: EndedRun) -> bool:
    if rule.kind == RuleKind.RUN_FAILED:
        return True
    ended = Run.objects.for_org(org_id).filter(
        ORDINARY_RUNS,
        pipeline_id=run.pipeline_id,
        status__in=(Status.SUCCEEDED, Status.FAILED),
        finished_at__lte=run.finished_at,
    )
    newest = list(ended.order_by("-finished_at").values_list("status", flat=True)[: rule.threshold])
    return newest == [Status.FAILED] * rule.threshold


def _add_deliveries(org_id: UUID, alerts: Sequence[tuple[Rule, Alert, payloads.Event]]) -> None:
    """Store a delivery for each enabled channel of each rule. The same event has the same id in all channels."""
    rule_ids = [rule.pk for rule, _, _ in alerts]
    rows = RuleChannel.objects.for_org(org_id).filter(rule_id__in=rule_ids, channel__enabled=True)
    channels: dict[UUID, Channel] = {}
    channels_by_rule: dict[UUID, list[UUID]] = {}
    for row in rows.select_related("channel").order_by("channel_id"):
        channels[row.channel_id] = row.channel
        channels_by_rule.setdefault(row.rule_id, []).append(row.channel_id)
    Delivery.unscoped.bulk_create(
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
    )
    _wake(channels.values(), timezone.now())


def _wake(channels: Iterable[Channel], now: datetime) -> None:
    """Let a worker deliver at once, except to channels that group their events now: the tick finds those later."""
    for channel in channels:
        if channel.grouped_until is None or channel.grouped_until <= now:
            queue.deliver_soon(org_id=channel.org_id, channel_id=channel.pk)
