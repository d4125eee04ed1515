"""Open the alerts that the clock opens, each minute: a pipeline is late, or has no new data. One statement finds them all.

The end of a run closes such an alert. The clock closes it too if the pipeline is not watched any more: it was disabled or
paused, or its schedule was changed.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db import connection
from django.utils import timezone

from apps.alerts.deciding.alerts import close_alerts, open_alerts
from apps.alerts.deciding.one_by_one import watch_each
from apps.alerts.models import Alert, Rule
from apps.alerts.payloads import pipeline_subject
from apps.alerts.rule_kinds.registry import RULE_KINDS
from apps.orgs.walls.scope import org_scope
from apps.pipelines.models import Pipeline

ROWS_PER_TICK = 1_000
NOT_WATCHED = "is not watched any more: it was disabled or paused, or its schedule was changed"

Row = tuple[UUID, UUID, UUID, bool]  # org, rule, pipeline, whether an alert is open


def tick() -> int:
    """Open and close alerts. Returns how many pipelines it has changed. Raises the first error at the end."""
    pairs = dict.fromkeys((org, pipeline) for org, _, pipeline, _ in _find())
    return watch_each(
        {str(pipeline): partial(watch, org_id=org, pipeline_id=pipeline) for org, pipeline in pairs}
    )


def watch(*, org_id: UUID, pipeline_id: UUID) -> bool:
    """Open and close the alerts of one pipeline. Returns False if there is nothing to do, or the pipeline is locked."""
    with org_scope(org_id):
        # The end of a run locks this row too. A locked pipeline is looked at in the next minute.
        pipelines = Pipeline.objects.for_org(org_id).filter(pk=pipeline_id)
        pipeline = pipelines.select_for_update(no_key=True, skip_locked=True).first()
        # The state may have changed since the tick has read it.
        rows = _find(pipeline_id) if pipeline else []
        if not rows or pipeline is None:
            return False
        now = timezone.now()
        rules = Rule.objects.for_org(org_id).in_bulk([rule for _, rule, _, _ in rows])
        to_open = [rules[rule] for _, rule, _, is_open in rows if not is_open]
        to_close = Alert.objects.for_org(org_id).filter(
            pipeline=pipeline,
            closed_at=None,
            rule_id__in=[rule for _, rule, _, is_open in rows if is_open],
        )
        subject = pipeline_subject(pipeline)
        found = [
            (rule, subject, describe(pipeline, kind.with_defaults(rule.settings)))
            for rule in to_open
            if (describe := (kind := RULE_KINDS[rule.kind]).describe)
        ]
        open_alerts(org_id, found, at=now)
        closing = [(alert, NOT_WATCHED) for alert in to_close.select_related("rule", "pipeline")]
        close_alerts(org_id, closing, at=now)
    return True


def _find(pipeline_id: UUID | None = None) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, rule_id, pipeline_id, is_open FROM alerts_found_by_time(%s, %s)",
            [ROWS_PER_TICK, pipeline_id],
        )
        return list(cursor.fetchall())
