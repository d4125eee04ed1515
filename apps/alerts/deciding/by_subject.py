"""Open and close the alerts about limits, keys, certificates, missing workers and the storage, each minute. One statement finds all."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.alerts.deciding.alerts import close_alerts, open_alerts
from apps.alerts.deciding.one_by_one import watch_each
from apps.alerts.models import Alert, Rule
from apps.alerts.payloads import Subject
from apps.alerts.rule_kinds.registry import RULE_KINDS
from apps.alerts.rule_kinds.verdicts import Finding
from apps.alerts.rule_kinds.watched import FoundSubject
from apps.orgs.models import Org
from apps.orgs.walls.scope import org_scope

ROWS_PER_TICK = 1_000
NOT_WATCHED = "is not watched any more: the rule was changed"

Row = tuple[UUID, UUID, FoundSubject, UUID | None]  # org, rule, subject, open alert


def tick() -> int:
    """Open and close alerts. Returns in how many orgs. Raises the first error at the end."""
    orgs = dict.fromkeys(org for org, _, _, _ in _find())
    return watch_each({str(org): partial(watch, org_id=org) for org in orgs})


def watch(*, org_id: UUID) -> bool:
    """Open and close the alerts of one org that are about no pipeline. Returns False if there is nothing to do."""
    with org_scope(org_id):
        # Another worker that watches this org now is not repeated. A locked org is looked at in the next minute.
        orgs = Org.objects.select_for_update(no_key=True, skip_locked=True)
        # The state may have changed since the tick has read it.
        rows = _find(org_id) if orgs.filter(pk=org_id).first() else []
        if not rows:
            return False
        now = timezone.now()
        rules = Rule.objects.for_org(org_id).in_bulk([rule for _, rule, _, _ in rows])
        found = [
            _describe(rules[rule], subject) for _, rule, subject, alert in rows if alert is None
        ]
        open_alerts(org_id, found, at=now)
        alerts = Alert.objects.for_org(org_id).filter(
            pk__in=[alert for _, _, _, alert in rows if alert]
        )
        closing = [(alert, _why_over(alert)) for alert in alerts.select_related("rule", "pipeline")]
        close_alerts(org_id, closing, at=now)
    return True


def _describe(rule: Rule, found: FoundSubject) -> tuple[Rule, Subject, Finding]:
    kind = RULE_KINDS[rule.kind]
    assert kind.watch is not None  # noqa: S101 - the statement finds only such kinds
    subject, finding = kind.watch.describe(found, kind.with_defaults(rule.settings))
    return rule, subject, finding


def _why_over(alert: Alert) -> str:
    kind = RULE_KINDS[alert.rule.kind]
    if kind.watch is None or alert.cause["rule"]["kind"] != alert.rule.kind:
        return NOT_WATCHED
    return kind.watch.over(alert, kind.with_defaults(alert.rule.settings))


def _find(org_id: UUID | None = None) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT org_id, rule_id, subject_kind, subject_key, facts, alert_id
               FROM alerts_found_subjects(%s, %s, %s)""",
            [ROWS_PER_TICK, settings.FILES_SIZE_PER_ORG, org_id],
        )
        return [_row(*columns) for columns in cursor.fetchall()]


def _row(org_id: UUID, rule_id: UUID, kind: str, key: str, facts: Any, alert: UUID | None) -> Row:
    read = orjson.loads(facts) if isinstance(facts, str) else facts
    return org_id, rule_id, FoundSubject(kind, key, read or {}), alert
