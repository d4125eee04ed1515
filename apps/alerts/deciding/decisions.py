"""Decide who is told that a run has ended.

A rule opens at most one alert for a pipeline. While the alert is open, what the rule finds is not told again. The next
run that its kind judges as good closes the alert.
"""

from __future__ import annotations

from functools import cache
from uuid import UUID

from django.db.models import Q

from apps.alerts.deciding.alerts import close_alerts, open_alerts
from apps.alerts.deciding.ended_runs import EndedRun
from apps.alerts.models import Alert, Rule
from apps.alerts.payloads import Subject, pipeline_subject
from apps.alerts.rule_kinds.registry import RULE_KINDS
from apps.alerts.rule_kinds.verdicts import EndOfRun, Finding, Outcome, Verdict
from apps.alerts.rules import covering
from apps.alerts.usual.history import history
from apps.pipelines.models import Pipeline

PIPELINE_COLUMNS = ("org_id", "name", "domain_id", "tags")  # of the pipeline that `decide` is given


def decide(org_id: UUID, run: EndedRun, pipeline: Pipeline) -> None:
    """Open or close the alerts of the run's pipeline, and store the deliveries."""
    alerts = Alert.objects.for_org(org_id).filter(pipeline=pipeline, closed_at=None)
    still_open = {alert.rule_id: alert for alert in alerts}
    rules = Rule.objects.for_org(org_id).filter(
        (covering(pipeline) & Q(enabled=True)) | Q(pk__in=still_open)
    )

    read_history = cache(
        lambda: history(
            org_id=org_id, pipeline_id=run.pipeline_id, version=run.version, at=run.created_at
        )
    )

    def judge(rule: Rule) -> Verdict:
        kind = RULE_KINDS[rule.kind]
        settings = kind.with_defaults(rule.settings)
        return kind.judge(EndOfRun(org_id, run, settings, read_history))

    subject = pipeline_subject(pipeline)
    found: list[tuple[Rule, Subject, Finding]] = []
    ended: list[tuple[Alert, str]] = []
    for rule in rules.order_by("pk"):
        verdict, alert = judge(rule), still_open.get(rule.pk)
        if alert is None and isinstance(verdict, Finding):
            found.append((rule, subject, verdict))
        elif alert is not None and verdict is Outcome.GOOD:
            alert.rule, alert.pipeline = rule, pipeline
            ended.append((alert, RULE_KINDS[rule.kind].recovered))
    if found:
        open_alerts(org_id, found, at=run.finished_at, run=run)
    if ended:
        close_alerts(org_id, ended, at=run.finished_at, run=run)
