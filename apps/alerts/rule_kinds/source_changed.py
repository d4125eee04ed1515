"""A run has found a change at its source that nobody has decided about: a column, a type, a key, or a missing stream."""

from __future__ import annotations

from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.verdicts import EndOfRun, Finding, Outcome, Verdict
from apps.pipelines.models import ChangeKind, SourceChange
from apps.runs.models import Status

WORDS = {
    ChangeKind.COLUMN_ADDED: "new column",
    ChangeKind.COLUMN_REMOVED: "removed column",
    ChangeKind.TYPE_CHANGED: "other type of the column",
    ChangeKind.KEY_CHANGED: "other primary key",
    ChangeKind.STREAM_MISSING: "missing stream",
}
MAX_NAMED = 3


def judge(end: EndOfRun) -> Verdict:
    changes = SourceChange.objects.for_org(end.org_id).filter(
        pipeline_id=end.run.pipeline_id, run_id=end.run.id, decision=""
    )
    found = list(changes.order_by("stream", "column", "pk")[: MAX_NAMED + 1])
    if found:
        named = [_in_words(change) for change in found[:MAX_NAMED]]
        more = changes.count() - len(named)
        return Finding(
            f"has changed at its source: {'; '.join(named)}{f'; and {more} more' * (more > 0)}"
        )
    return Outcome.GOOD if end.run.status == Status.SUCCEEDED else Outcome.UNKNOWN


def _in_words(change: SourceChange) -> str:
    place = f"{change.stream}.{change.column}" if change.column else change.stream
    return f"{WORDS[ChangeKind(change.kind)]} {place}"


KIND = Kind(
    title="The source has changed",
    description="A run has found a new, removed or changed column, another key, or a missing stream.",
    label="Changed source",
    settings=settings_schema(),
    judge=judge,
    recovered="has found no further change at its source",
)
