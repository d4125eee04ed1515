"""Decide who is told that a run has ended.

A rule opens at most one alert for a pipeline. While the alert is open, what the rule finds is not told again. The next
run that its kind judges as good closes the alert.
"""

from __future__ import annotations

from functools import cache
from uuid import UUID

from apps.alerts.deciding.alerts import close_alerts, open_alerts
from apps.alerts.deciding.ended_runs import EndedRun
from apps.alerts.models import Alert, Rule
from apps.alerts.payloads import Subject, pipeline_subject
from apps.alerts.rule_kinds.registry import RULE_KINDS
from apps.alerts.rule_kinds.verdicts import EndOfRun, Finding, Outcome, Verdict
from apps.alerts.rules import covering
from apps.alerts.usual.history import history
from apps.pipelines.models import Pipeline


def decide(org_id: UUID, run: EndedRun) -> None:
    """Open or close the alerts of the pipeline, and store the deliveries."""
    pipelines = Pipeline.objects.for_org(org_id).only("org_id", "name", "domain_id", "tags")
    pipeline = pipelines.get(pk=run.pipeline_id)
    alerts = Alert.objects.for_org(org_id).filter(pipeline=pipeline, closed_at=None)
    still_open = list(alerts.select_related("rule", "pipeline").order_by("pk"))
    rules = Rule.objects.for_org(org_id).filter(covering(pipeline), enabled=True)
    rules = rules.exclude(pk__in=[alert.rule_id for alert in still_open])

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
    for rule in rules.order_by("pk"):
        verdict = judge(rule)
        if isinstance(verdict, Finding):
            found.append((rule, subject, verdict))
    ended = [
        (alert, RULE_KINDS[alert.rule.kind].recovered)
        for alert in still_open
        if judge(alert.rule) is Outcome.GOOD
    ]
    if found:
        open_alerts(org_id, found, at=run.finished_at, run=run)
    if ended:
        close_alerts(org_id, ended, at=run.finished_at, run=run)
