"""Snooze a rule or an open alert until a time, and end that before.

A snoozed rule still opens and closes alerts, but nobody is told: their deliveries are in the log as snoozed. When the snooze
ends, those whose alert is still open are sent. A snoozed alert was told before: if it is still open at the end, its channels
are reminded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.alerts import payloads, rules
from apps.alerts.models import Alert, DeliveryState, Rule, Snooze
from apps.alerts.sending.holding import untold
from apps.alerts.snoozing.releasing import release
from apps.auth import names
from apps.json import JsonObject
from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.tenancy import OrgQuerySet

LONGEST = timedelta(days=30)


def open_alerts(org: Org, by: Principal) -> OrgQuerySet[Alert]:
    """Return the open alerts that the principal can see. An API key for one domain sees those about its pipelines."""
    rows = Alert.objects.for_org(org).filter(closed_at=None)
    if hidden := rules.hidden_kinds(by):
        # The rule may have had another kind when it opened the alert.
        rows = rows.exclude(rule__kind__in=hidden).exclude(cause__rule__kind__in=hidden)
    return rows if by.only_domain is None else rows.filter(pipeline__domain_id=by.only_domain)


def snoozes_of_rules(org: Org, rule_ids: Sequence[UUID]) -> dict[UUID, Snooze]:
    rows = Snooze.objects.for_org(org).filter(rule_id__in=rule_ids, until__gt=timezone.now())
    return {row.rule_id: row for row in rows if row.rule_id}


def snoozes_of_alerts(org: Org, alert_ids: Sequence[UUID]) -> dict[UUID, Snooze]:
    rows = Snooze.objects.for_org(org).filter(alert_id__in=alert_ids, until__gt=timezone.now())
    return {row.alert_id: row for row in rows if row.alert_id}


def snooze_rule(
    *, org: Org, by: Principal, rule_id: UUID, until: datetime, reason: str = ""
) -> Rule:
    """Snooze a rule, also if it is snoozed already. Raises NotFound and Invalid."""
    rule = rules.lock(org, by, rule_id)
    snooze = _replace(org, by, {"rule": rule}, until, reason)
    waiting = untold(org.pk).filter(alert__rule=rule, alert__closed_at=None)
    waiting.update(state=DeliveryState.SNOOZED, problem=snooze.problem)
    _record_rule(org, by, "alert_rule.snooze", rule, snooze)
    return rule


def wake_rule(*, org: Org, by: Principal, rule_id: UUID) -> Rule:
    """End the snooze of a rule now, and send what is still open. Raises NotFound."""
    rule = rules.lock(org, by, rule_id)
    Snooze.objects.for_org(org).filter(rule=rule).delete()
    release(org.pk)
    _record_rule(org, by, "alert_rule.wake", rule)
    return rule


def snooze_alert(
    *, org: Org, by: Principal, alert_id: UUID, until: datetime, reason: str = ""
) -> Snooze:
    """Snooze an open alert, also if it is snoozed already. Raises NotFound and Invalid."""
    alert = _lock_alert(org, by, alert_id)
    snooze = _replace(org, by, {"alert": alert}, until, reason)
    waiting = untold(org.pk).filter(alert=alert)
    waiting.update(state=DeliveryState.SNOOZED, problem=snooze.problem)
    _record_alert(org, by, "alert.snooze", alert, snooze)
    return snooze


def wake_alert(*, org: Org, by: Principal, alert_id: UUID) -> None:
    """End the snooze of an alert now. Nobody is reminded, because somebody looks at it. Raises NotFound."""
    alert = _lock_alert(org, by, alert_id)
    Snooze.objects.for_org(org).filter(alert=alert).delete()
    release(org.pk)
    _record_alert(org, by, "alert.wake", alert)


def _lock_alert(org: Org, by: Principal, alert_id: UUID) -> Alert:
    rows = open_alerts(org, by).select_related("rule", "pipeline")
    alert = find_object(rows, alert_id, lock=True)
    domain_id = alert.pipeline.domain_id if alert.pipeline else None
    by.require(Permission.ALERTS_EDIT, domain_id=domain_id)
    return alert


def _replace(org: Org, by: Principal, of: dict[str, Any], until: datetime, reason: str) -> Snooze:
    now = timezone.now()
    if not now < until <= now + LONGEST:
        message = f"Enter a time within the next {LONGEST.days} days."
        raise Invalid([("until", message, "invalid")])
    Snooze.objects.for_org(org).filter(**of).delete()
    return Snooze.unscoped.create(
        org=org,
        until=until,
        reason=reason,
        by=names.clean_name(by.actor.label, max_length=254),
        created_at=now,
        **of,
    )


def _record_rule(
    org: Org, by: Principal, action: str, rule: Rule, snooze: Snooze | None = None
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="alert_rule",
        object_id=rule.pk,
        object_label=rule.kind.replace("_", " "),
        changes=_audited(snooze),
    )


def _record_alert(
    org: Org, by: Principal, action: str, alert: Alert, snooze: Snooze | None = None
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="alert",
        object_id=alert.pk,
        object_label=payloads.subject_of(alert)["name"],
        changes=_audited(snooze),
    )


def _audited(snooze: Snooze | None) -> JsonObject:
    if snooze is None:
        return {}
    return {"snoozed_until": [None, snooze.until.isoformat()], "reason": [None, snooze.reason]}
