"""Show the changes at the source of a pipeline, and decide about them."""

from __future__ import annotations

from typing import Any, Literal, TypedDict
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines import services as pipelines
from apps.pipelines.definition import Definition, StreamDocument, rules_of
from apps.pipelines.exceptions import ChangeDecided
from apps.pipelines.history import versions
from apps.pipelines.models import ChangeDecision, ChangeKind, Pipeline, SourceChange
from apps.pipelines.schedules import services as schedules
from apps.pipelines.visibility import find_pipeline, lock_pipeline

Decision = Literal["accept", "ignore", "pause"]
# What a new column does now, by the settings of its stream.
Effect = Literal["arrives", "left_out", "fails_runs", "leaves_out_records"]
UNDECIDED = ("", ChangeDecision.PAUSE)  # Somebody still has to accept or ignore it.
EFFECTS: dict[str, Effect] = {
    "evolve": "arrives",
    "freeze": "fails_runs",
    "drop_columns": "left_out",
    "drop_rows": "leaves_out_records",
}
PAUSE_NOTE = "Changes at the source"


class ChangeRow(TypedDict):
    """A change for the API. `effect` is null unless a column was added."""

    id: UUID
    run_id: UUID
    stream: str
    kind: str
    column: str
    before: str
    after: str
    effect: Effect | None
    decision: str | None
    decided_by: dict[str, Any] | None
    decided_at: Any
    created_at: Any


def list_changes(*, org: Org, by: Principal, pipeline_id: UUID, decided: bool | None) -> Any:
    """Return the changes of the pipeline's streams as a QuerySet. Raises NotFound."""
    find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    rows = SourceChange.objects.for_org(org).filter(pipeline_id=pipeline_id)
    if decided is None:
        return rows
    return rows.exclude(decision__in=UNDECIDED) if decided else rows.filter(decision__in=UNDECIDED)


def current_streams(*, org: Org, by: Principal, pipeline_id: UUID) -> dict[str, StreamDocument]:
    """Return the streams that the definition of the pipeline names."""
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    definition = Definition(versions.get_version(org, pipeline, pipeline.version).definition)
    return {stream["stream"]: stream for stream in definition.streams}


def effect_of(kind: str, column: str, stream: StreamDocument | None) -> Effect | None:
    """Return what happens to a column that was added, or None for other changes.

    Patterns have no contract and no rules, so the new columns of their streams arrive.
    """
    if kind != ChangeKind.COLUMN_ADDED:
        return None
    if stream is None:
        return "arrives"
    rules = rules_of(stream)
    if not rules.may_arrive(rules.final_name(column)):
        return "left_out"
    is_chosen = rules.final_name(column) in rules.chosen
    return "arrives" if is_chosen else EFFECTS[stream.get("contract", "evolve")]


def decide(
    *, org: Org, by: Principal, pipeline_id: UUID, change_id: UUID, decision: Decision
) -> UUID:
    """Accept or ignore a change, or pause the schedule of the pipeline until somebody does.

    To accept a new column that does not arrive adds a rule that keeps it. Returns the id of the change. Raises NotFound,
    PermissionMissing, ChangeDecided, and NoSchedule if there is no schedule to pause.
    """
    pipeline = lock_pipeline(Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id)
    change = find_object(SourceChange.objects.for_org(org).filter(pipeline=pipeline), change_id)
    before = change.decision or None
    with transaction.atomic():
        undecided = SourceChange.objects.for_org(org).filter(pk=change.pk, decision__in=UNDECIDED)
        if not undecided.update(decision=decision, decided_by=by.user_id, decided_at=Now()):
            raise ChangeDecided
        if decision == "accept":
            _keep_column(org, by, pipeline, change)
        elif decision == "pause":
            _pause(org, by, pipeline)
        audit.record(
            org=org,
            by=by,
            action=f"drift.{decision}",
            object_kind="pipeline",
            object_id=pipeline.pk,
            object_label=pipeline.name,
            changes={
                "stream": [change.stream, change.stream],
                "change": [change.kind, change.kind],
                "column": [change.column, change.column],
                "decision": [before, decision],
            },
        )
    return change.pk


def _keep_column(org: Org, by: Principal, pipeline: Pipeline, change: SourceChange) -> None:
    """Add a rule that keeps the column, if the contract or the rules leave it out. A rule that exists stays."""
    definition = versions.current_definition(org, pipeline)
    stream = definition.stream(change.stream)
    if stream is None or effect_of(change.kind, change.column, stream) in {None, "arrives"}:
        return
    fields = stream.get("fields", {"others": "keep", "rules": []})
    if any(rule["field"] == change.column for rule in fields["rules"]):
        return
    rules = [*fields["rules"], {"field": change.column}]
    # PATCH keeps the settings that are not named, but replaces the list of streams.
    streams = [
        {
            "stream": each["stream"],
            **({"fields": {**fields, "rules": rules}} if each is stream else {}),
        }
        for each in definition.streams
    ]
    pipelines.update(
        org=org, by=by, pipeline_id=pipeline.pk, changes={"config": {"streams": streams}}
    )


def _pause(org: Org, by: Principal, pipeline: Pipeline) -> None:
    """Pause the schedule, unless somebody has paused it with a note already. Raises NoSchedule."""
    schedule = schedules.find_schedule(org=org, by=by, pipeline_id=pipeline.pk)
    if schedule.paused_at is None:
        schedules.pause(org=org, by=by, pipeline_id=pipeline.pk, note=PAUSE_NOTE)
