"""Several runs have failed, one after the other."""

from __future__ import annotations

from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.verdicts import EndOfRun, Finding, Outcome, Verdict
from apps.runs.models import ORDINARY_RUNS, Run, Status


def judge(end: EndOfRun) -> Verdict:
    if end.run.status == Status.SUCCEEDED:
        return Outcome.GOOD
    threshold = end.settings["threshold"]
    ended = Run.objects.for_org(end.org_id).filter(
        ORDINARY_RUNS,
        pipeline_id=end.run.pipeline_id,
        status__in=(Status.SUCCEEDED, Status.FAILED),
        finished_at__lte=end.run.finished_at,
    )
    newest = list(ended.order_by("-finished_at").values_list("status", flat=True)[:threshold])
    if newest != [Status.FAILED] * threshold:
        return Outcome.UNKNOWN
    return Finding(f"has failed {threshold} times in a row")


KIND = Kind(
    title="Several runs fail in a row",
    condition="{threshold} runs fail in a row",
    description="Runs have failed after their retries, one after the other. Cancelled runs do not count.",
    label="Failed",
    settings=settings_schema(
        threshold={
            "type": "integer",
            "title": "Failed runs in a row",
            "minimum": 2,
            "maximum": 100,
            "default": 3,
        }
    ),
    judge=judge,
)
