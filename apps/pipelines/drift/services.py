"""Show the changes at the source of a pipeline, and decide about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines import services as pipelines
from apps.pipelines.definition import Definition, StreamDocument, rules_of
from apps.pipelines.definition.document import FieldsDocument
from apps.pipelines.exceptions import ChangeDecided
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import known_documents
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


@dataclass(frozen=True, slots=True)
class FoundChanges:
    """Changes, and the streams that their pipeline reads now."""

    rows: QuerySet[SourceChange]
    streams: Mapping[str, StreamDocument]


def list_changes(
    *, org: Org, by: Principal, pipeline_id: UUID, decided: bool | None, run_id: UUID | None = None
) -> FoundChanges:
    """Return the changes at the source of the pipeline, or only those that a run has found. Raises NotFound."""
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    rows = _changes_of(org, pipeline)
    if decided is not None:
        is_undecided = Q(decision__in=UNDECIDED)
        rows = rows.filter(~is_undecided if decided else is_undecided)
    if run_id is not None:
        rows = rows.filter(run_id=run_id)
    return FoundChanges(rows, _current_streams(org, pipeline))


def _changes_of(org: Org, pipeline: Pipeline) -> QuerySet[SourceChange]:
    rows: QuerySet[SourceChange] = SourceChange.objects.for_org(org).filter(pipeline=pipeline)
    return rows


def _current_streams(org: Org, pipeline: Pipeline) -> dict[str, StreamDocument]:
    """Return the streams that the pipeline reads: those that it names, and those that its patterns have chosen."""
    definition = Definition(versions.get_version(org, pipeline, pipeline.version).definition)
    matched = known_documents(org, pipeline, definition) if definition.patterns else []
    return {stream["stream"]: stream for stream in (*matched, *definition.streams)}


def effect_of(kind: str, column: str, stream: StreamDocument | None) -> Effect | None:
    """Return what happens to a column that was added, or None for other changes and for a stream that is not read."""
    if kind != ChangeKind.COLUMN_ADDED or stream is None:
        return None
    rules = rules_of(stream)
    if not rules.may_arrive(rules.final_name(column)):
        return "left_out"
    is_chosen = rules.final_name(column) in rules.chosen
    return "arrives" if is_chosen else EFFECTS[stream.get("contract", "evolve")]


def decide(
    *, org: Org, by: Principal, pipeline_id: UUID, change_id: UUID, decision: Decision
) -> FoundChanges:
    """Accept or ignore a change, or pause the schedule of the pipeline until somebody does.

    To accept a new column that does not arrive adds a rule that keeps it, and to accept that a stream is gone removes
    it from the pipeline, if others remain. Returns the change. Raises NotFound, PermissionMissing,
    ChangeDecided, and NoSchedule if there is no schedule to pause.
    """
    pipeline = lock_pipeline(Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id)
    changes = _changes_of(org, pipeline)
    change = find_object(changes, change_id)
    before = change.decision or None
    with transaction.atomic():
        undecided = changes.filter(pk=change.pk, decision__in=UNDECIDED)
        if not undecided.update(decision=decision, decided_by=by.user_id, decided_at=Now()):
            raise ChangeDecided
        if decision == "accept":
            _accept(org, by, pipeline, change)
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
    pipeline.refresh_from_db()
    return FoundChanges(changes.filter(pk=change.pk), _current_streams(org, pipeline))


def _accept(org: Org, by: Principal, pipeline: Pipeline, change: SourceChange) -> None:
    if change.kind == ChangeKind.STREAM_MISSING:
        _remove_stream(org, by, pipeline, change.stream)
    else:
        _keep_column(org, by, pipeline, change)


def _remove_stream(org: Org, by: Principal, pipeline: Pipeline, name: str) -> None:
    """Remove the stream from those that the pipeline names. A pipeline without patterns keeps its only stream."""
    definition = versions.current_definition(org, pipeline)
    others = [
        {"stream": stream["stream"]} for stream in definition.streams if stream["stream"] != name
    ]
    if len(others) == len(definition.streams) or not (others or definition.patterns):
        return
    pipelines.update(
        org=org, by=by, pipeline_id=pipeline.pk, changes={"config": {"streams": others}}
    )


def _keep_column(org: Org, by: Principal, pipeline: Pipeline, change: SourceChange) -> None:
    """Add a rule that keeps the column, if the contract or the rules leave it out. A rule that exists stays.

    A stream that patterns have chosen gets settings of its own, because the rule is not one for the other streams.
    """
    definition = versions.current_definition(org, pipeline)
    stream = _current_streams(org, pipeline).get(change.stream)
    if stream is None or effect_of(change.kind, change.column, stream) in {None, "arrives"}:
        return
    no_rules = FieldsDocument(others="keep", rules=[])
    fields = stream.get("fields", no_rules)
    if any(rule["field"] == change.column for rule in fields["rules"]):
        return
    kept = {**stream, "fields": {**fields, "rules": [*fields["rules"], {"field": change.column}]}}
    # PATCH keeps the settings that are not named, but replaces the list of streams.
    streams = [
        kept if each["stream"] == change.stream else {"stream": each["stream"]}
        for each in definition.streams
    ]
    if definition.stream(change.stream) is None:
        streams.append(kept)
    pipelines.update(
        org=org, by=by, pipeline_id=pipeline.pk, changes={"config": {"streams": streams}}
    )


def _pause(org: Org, by: Principal, pipeline: Pipeline) -> None:
    """Pause the schedule, unless somebody has paused it with a note already. Raises NoSchedule."""
    schedule = schedules.find_schedule(org=org, by=by, pipeline_id=pipeline.pk)
    if schedule.paused_at is None:
        schedules.pause(org=org, by=by, pipeline_id=pipeline.pk, note=PAUSE_NOTE)
