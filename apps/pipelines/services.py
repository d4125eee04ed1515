"""Actions on pipelines, each in one transaction with one audit event. A changed definition adds a version.

Each action takes ids. It raises NotFound for objects that `by` cannot see, and PermissionMissing if `by` lacks the
permission in the object's domain. Actions with the argument `checked` raise CodeUnchecked for a transform's code that
is not validated yet (see `transforms`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, TypedDict
from uuid import UUID

from django.db import connection, transaction

from apps.auth.constraints import refused_as
from apps.auth.mailing import access_notices
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.schemas import Error
from apps.orgs import audit
from apps.orgs.exceptions import Invalid, LimitReached
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match
from apps.pipelines import definition, removal, targets, transforms
from apps.pipelines.definition import Definition, Document, RequestDocument, discovered
from apps.pipelines.exceptions import PipelineNameTaken, RunInProgress
from apps.pipelines.history import diffs, versions
from apps.pipelines.history.audited import audit_changes
from apps.pipelines.matching.choosing import known_streams, matched_rows
from apps.pipelines.matching.storing import choose_known, with_unused_naming
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.pipelines.schedules import plans
from apps.pipelines.schedules.plans import Plan
from apps.pipelines.schedules.services import apply_plan, schedule_of, update_next_run
from apps.pipelines.transforms import CheckedCode
from apps.pipelines.visibility import (
    find_pipeline,
    lock_pipeline,
    require_edit_in_domain,
    unused_name,
)

PLAIN_FIELDS = ("name", "description", "domain_id", "tags", "timeout_seconds", "max_attempts")
LIVE_STATUSES = ("pending", "running")  # values of last_run_status, which apps.runs sets


class PipelineChanges(TypedDict, total=False):
    """Changes of a pipeline. A value that is left out does not change."""

    name: str
    description: str
    enabled: bool
    domain_id: UUID | None
    tags: list[str]
    timeout_seconds: int
    max_attempts: int
    config: RequestDocument
    schedule: Any  # see plans.parse_plan


def create(
    *,
    org: Org,
    by: Principal,
    name: str,
    config: RequestDocument,
    description: str = "",
    schedule: Any = None,
    enabled: bool = True,
    domain_id: UUID | None = None,
    tags: Sequence[str] = (),
    timeout_seconds: int = 6 * 3600,
    max_attempts: int = 3,
    checked: CheckedCode | None = None,
    may_rename: Collection[str] | None = None,
) -> Pipeline:
    """Create a pipeline with its first version. With `may_rename`, these streams and those of patterns without a naming
    rule get unused tables if theirs are taken.

    Raises PipelineNameTaken, LimitReached, and Invalid with the names of the fields.
    """
    require_edit_in_domain(org, by, domain_id)
    _require_below_limit(org)
    new_definition, plan = build_definition_and_plan(
        org=org, by=by, config=config, schedule=schedule, checked=checked
    )
    pipeline = Pipeline(
        org=org,
        name=name,
        description=description,
        enabled=enabled,
        domain_id=domain_id,
        tags=list(tags),
        timeout_seconds=timeout_seconds,
        max_attempts=max_attempts,
        created_by_id=by.user_id,
    )
    if may_rename is not None:
        new_definition = _with_unused_tables(org, pipeline, new_definition, may_rename)
    _copy_list_columns(pipeline, new_definition)
    matched = choose_known(org, pipeline, new_definition)
    with transaction.atomic():
        _save(pipeline, new=True)
        targets.claim(org, by, pipeline, new_definition, matched=matched)
        versions.add(org=org, pipeline=pipeline, definition=new_definition, user_id=by.user_id)
        apply_plan(org=org, pipeline=pipeline, plan=plan)
        changes = {
            "name": [None, name],
            **audit_changes(diffs.diff({}, _masked_document(new_definition))),
        }
        _record(org, by, "pipeline.create", pipeline, changes)
    return pipeline


def _with_unused_tables(
    org: Org, pipeline: Pipeline, new_definition: Definition, may_rename: Collection[str]
) -> Definition:
    renamed = targets.with_unused_tables(org, new_definition, may_rename)
    if renamed.patterns is None or "naming" in renamed.document:
        return renamed
    return with_unused_naming(org, renamed, choose_known(org, pipeline, renamed))


def _require_below_limit(org: Org) -> None:
    limit = org.max_pipelines
    if limit is not None and Pipeline.objects.for_org(org).count() >= limit:
        raise LimitReached("pipelines", limit)


def update(
    *,
    org: Org,
    by: Principal,
    pipeline_id: UUID,
    changes: PipelineChanges,
    patch: bool = True,
    match: Match = None,
    checked: CheckedCode | None = None,
) -> Pipeline:
    """Apply `changes`, and increase `etag` if a value changes.

    Raises ChangedMeanwhile, PipelineNameTaken, and Invalid with the names of the fields.
    """
    pipeline = lock_pipeline(
        Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id, match=match
    )
    if changes.get("domain_id", pipeline.domain_id) != pipeline.domain_id:
        require_edit_in_domain(org, by, changes["domain_id"])
    before = versions.current_definition(org, pipeline) if "config" in changes else None
    schedule_row = schedule_of(org, pipeline)
    new_definition, plan = _build_changed_definition_and_plan(
        org, by, changes, before, plans.from_row(schedule_row), patch=patch, checked=checked
    )
    applied_changes = _apply_changes(pipeline, changes)
    with transaction.atomic():
        if before and new_definition and new_definition != before:
            applied_changes |= _add_version(org, by, pipeline, before, new_definition)
        if "schedule" in changes and plan != plans.from_row(schedule_row):
            applied_changes["schedule"] = [
                _plan_values(plans.from_row(schedule_row)),
                _plan_values(plan),
            ]
            apply_plan(org=org, pipeline=pipeline, plan=plan, row=schedule_row)
        elif "enabled" in applied_changes and schedule_row:
            update_next_run(pipeline, schedule_row)
        if applied_changes:
            pipeline.etag += 1
            _save(pipeline)
            _record(org, by, "pipeline.update", pipeline, applied_changes)
        if "domain_id" in applied_changes:
            # An API key of the former domain may be following a run.
            access_notices.recheck_streams(org.pk)
    return pipeline


def delete(*, org: Org, by: Principal, pipeline_id: UUID, match: Match = None) -> None:
    """Delete a pipeline with its versions, schedule and runs, and defer the removal of its data in storage.

    Data that was published to the user's own bucket or database is not deleted. Raises ChangedMeanwhile, and
    RunInProgress if a run has not ended.
    """
    pipeline = lock_pipeline(
        Permission.PIPELINES_DELETE, org=org, by=by, pipeline_id=pipeline_id, match=match
    )
    if pipeline.last_run_id is not None and pipeline.last_run_status in LIVE_STATUSES:
        raise RunInProgress(pipeline.last_run_id)
    with transaction.atomic():
        current = versions.get_version(org, pipeline, pipeline.version)
        masked = definition.mask(current.definition, current.secret_hints)
        _record(org, by, "pipeline.delete", pipeline, audit_changes(diffs.diff(masked, {})))
        # Deleted in SQL, where the foreign keys cascade: Django would load every run first.
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM pipelines_pipeline WHERE org_id = %s AND id = %s",
                [org.pk, pipeline.pk],
            )
        removal.request_removal(org_id=org.pk, pipeline_id=pipeline.pk)


def duplicate(*, org: Org, by: Principal, pipeline_id: UUID, name: str | None = None) -> Pipeline:
    """Create a disabled copy with its own secrets, schedule and state. Without `name`, choose an unused name.

    If a table of the pipeline cannot be written by two pipelines, the copy gets an unused table. Raises
    PipelineNameTaken and LimitReached.
    """
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    require_edit_in_domain(org, by, pipeline.domain_id)
    _require_below_limit(org)
    new_definition = with_unused_naming(
        org,
        targets.with_unused_tables(org, versions.current_definition(org, pipeline)),
        list(known_streams(matched_rows(org, pipeline)).values()),
    )
    copy = Pipeline(
        org=org,
        name=name or unused_name(org, pipeline.name),
        description=pipeline.description,
        enabled=False,
        domain_id=pipeline.domain_id,
        tags=list(pipeline.tags),
        timeout_seconds=pipeline.timeout_seconds,
        max_attempts=pipeline.max_attempts,
        created_by_id=by.user_id,
    )
    _copy_list_columns(copy, new_definition)
    matched = choose_known(org, copy, new_definition, known_of=pipeline)
    with transaction.atomic():
        _save(copy, new=True)
        targets.claim(org, by, copy, new_definition, matched=matched)
        versions.add(org=org, pipeline=copy, definition=new_definition, user_id=by.user_id)
        apply_plan(org=org, pipeline=copy, plan=plans.from_row(schedule_of(org, pipeline)))
        changes = {"copied_from": [None, str(pipeline.pk)]}
        _record(org, by, "pipeline.duplicate", copy, changes)
    return copy


def set_enabled(*, org: Org, by: Principal, pipeline_id: UUID, enabled: bool) -> Pipeline:
    """Enable or disable a pipeline. Does nothing if it is already in this state."""
    return update(org=org, by=by, pipeline_id=pipeline_id, changes={"enabled": enabled})


def restore(
    *, org: Org, by: Principal, pipeline_id: UUID, number: int, match: Match = None
) -> Pipeline:
    """Create a new version that equals an old version, including its secrets.

    The code is not validated again. Raises NotFound for an unknown number, ChangedMeanwhile, and Invalid if the old
    definition is no longer valid.
    """
    pipeline = lock_pipeline(
        Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id, match=match
    )
    old_row = versions.find_version(org, pipeline, number)
    old = versions.definition_with_secrets(org, old_row)
    before = versions.current_definition(org, pipeline)
    checked = CheckedCode(dict.fromkeys(transforms.changed_codes(old, None), ()))
    config = definition.document_with_secrets(old)
    new_definition, _ = build_definition_and_plan(
        org=org, by=by, config=config, schedule=None, checked=checked, kept=old
    )
    if new_definition == before:
        return pipeline
    with transaction.atomic():
        note = f"Restored version {number}"
        applied_changes = _add_version(
            org, by, pipeline, before, new_definition, note=note, restored=old_row
        )
        pipeline.etag += 1
        _save(pipeline)
        _record(org, by, "pipeline.restore", pipeline, applied_changes)
    return pipeline


def build_definition_and_plan(
    *,
    org: Org,
    by: Principal,
    config: RequestDocument,
    schedule: Any,
    checked: CheckedCode | None = None,
    kept: Definition | None = None,
) -> tuple[Definition, Plan | None]:
    """Return the definition and the schedule of a new pipeline, in stored form.

    What `kept` has too is not compared with the source. Raises Invalid with all errors, and CodeUnchecked.
    """
    new_definition, errors = _build_definition(org, by, config, checked=checked, kept=kept)
    plan, schedule_errors = plans.parse_plan(schedule)
    if errors or schedule_errors:
        raise Invalid([*errors, *schedule_errors])
    return new_definition, plan


def _build_changed_definition_and_plan(
    org: Org,
    by: Principal,
    changes: Mapping[str, Any],
    before: Definition | None,
    current_plan: Plan | None,
    *,
    patch: bool,
    checked: CheckedCode | None,
) -> tuple[Definition | None, Plan | None]:
    """Return the changed definition and schedule, in stored form.

    `before` is the current definition, or None if `changes` contains no definition.
    """
    new_definition, plan, errors = before, None, list[Error]()
    if before:
        config = changes["config"]
        new_definition, errors = _build_definition(
            org, by, config, before=before, patch=patch, checked=checked
        )
    if "schedule" in changes:
        plan, schedule_errors = plans.parse_plan(
            changes["schedule"], before=current_plan if patch else None
        )
        errors += schedule_errors
    if errors:
        raise Invalid(errors)
    return new_definition, plan


def _build_definition(
    org: Org,
    by: Principal,
    config: RequestDocument,
    *,
    before: Definition | None = None,
    patch: bool = False,
    checked: CheckedCode | None,
    kept: Definition | None = None,
) -> tuple[Definition, list[Error]]:
    """Return the definition and its errors. Raises CodeUnchecked."""
    connectors = versions.usable_connectors(org, by, config, before.document if before else {})
    new_definition, errors = definition.build(
        config, connectors=connectors, previous=before, patch=patch
    )
    errors = errors or discovered.find_errors(org, new_definition, kept=before or kept)
    return new_definition, errors or transforms.code_errors(org.pk, new_definition, before, checked)


def _apply_changes(pipeline: Pipeline, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set the plain fields, and return {field: [before, after]} of the changed fields."""
    applied_changes: dict[str, Any] = {}
    for name in (*PLAIN_FIELDS, "enabled"):
        if name in changes and getattr(pipeline, name) != changes[name]:
            applied_changes[name] = [_as_json(getattr(pipeline, name)), _as_json(changes[name])]
            setattr(pipeline, name, changes[name])
    return applied_changes


def _add_version(
    org: Org,
    by: Principal,
    pipeline: Pipeline,
    before: Definition,
    new_definition: Definition,
    note: str = "",
    restored: PipelineVersion | None = None,
) -> dict[str, Any]:
    earlier = restored or versions.get_version(org, pipeline, pipeline.version)
    own_database = targets.keeps_own_database(earlier, new_definition)
    pipeline.version += 1
    _copy_list_columns(pipeline, new_definition)
    matched = choose_known(org, pipeline, new_definition)
    targets.claim(org, by, pipeline, new_definition, matched=matched, own_database=own_database)
    versions.add(
        org=org,
        pipeline=pipeline,
        definition=new_definition,
        user_id=by.user_id,
        note=note,
        own_database=own_database,
    )
    changed_secrets = diffs.find_changed_secrets(before.secrets, new_definition.secrets)
    changes = diffs.diff(
        _masked_document(before), _masked_document(new_definition), changed_secrets=changed_secrets
    )
    return {"version": [pipeline.version - 1, pipeline.version], **audit_changes(changes)}


def _copy_list_columns(pipeline: Pipeline, new_definition: Definition) -> None:
    """Copy values from the definition to the columns that the list of pipelines shows."""
    source, destination = new_definition.document["source"], new_definition.document["destination"]
    pipeline.source_kind, pipeline.destination_kind = source["kind"], destination["kind"]
    pipeline.custom_source_id = custom_kinds.custom_source_id(source["kind"])
    pipeline.source_connector_id = source["connector_id"]
    pipeline.destination_connector_id = destination["connector_id"]
    first = new_definition.stream()
    pipeline.stream = (
        first["stream"] if first else definition.describe(new_definition.document)[:200]
    )
    pipeline.stream_count = len(new_definition.streams)


SAVED_FIELDS = (
    *PLAIN_FIELDS, "enabled", "version", "source_kind", "destination_kind", "custom_source",
    "source_connector", "destination_connector", "stream", "stream_count", "matched_patterns", "etag",
    "updated_at",
)  # fmt: skip


def _save(pipeline: Pipeline, *, new: bool = False) -> None:
    """Save the row. An update leaves out the columns that apps.runs and the freshness set."""
    with refused_as(PipelineNameTaken, "pipelines_pipeline_name"):
        if new:
            pipeline.save(force_insert=True)
        else:
            pipeline.save(update_fields=SAVED_FIELDS)


def _masked_document(new_definition: Definition) -> Document:
    return definition.mask(new_definition.document, new_definition.hints)


def _plan_values(plan: Plan | None) -> dict[str, Any] | None:
    return {name: _as_json(getattr(plan, name)) for name in plans.FIELDS} if plan else None


def _as_json(value: Any) -> Any:
    return str(value) if isinstance(value, UUID | date) else value


def _record(
    org: Org, by: Principal, action: str, pipeline: Pipeline, changes: dict[str, Any]
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="pipeline",
        object_id=pipeline.pk,
        object_label=pipeline.name,
        changes=changes,
    )
