"""Actions on pipelines, each in one transaction with one audit event; a changed definition adds a version.

Each takes ids. It raises NotFound for objects that `by` cannot see, and PermissionMissing if `by` lacks the
permission there. Those with the argument `checked` raise CodeUnchecked for a transform's code that was not
validated yet (`transforms`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from apps.auth.mailing import access_notices
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.schemas import Error
from apps.orgs import audit
from apps.orgs.exceptions import Invalid, LimitReached
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match
from apps.pipelines import definition, removal, transforms
from apps.pipelines.definition import Definition, Document, Sent
from apps.pipelines.exceptions import PipelineNameTaken, RunInProgress
from apps.pipelines.history import diffs, versions
from apps.pipelines.models import Pipeline
from apps.pipelines.schedules import plans
from apps.pipelines.schedules.plans import Plan
from apps.pipelines.schedules.services import plan_schedule, replan, schedule_of
from apps.pipelines.transforms import CheckedCode
from apps.pipelines.visibility import locked, place, readable

PLAIN_FIELDS = ("name", "description", "domain_id", "tags", "timeout_seconds", "max_attempts")
TRANSFORMS = "config.streams.0.transforms"  # name in the audit log
RUNNING = ("pending", "running")  # values of apps.runs, which maintains last_run_status


def create(
    *,
    org: Org,
    by: Principal,
    name: str,
    config: Sent,
    description: str = "",
    schedule: Any = None,
    enabled: bool = True,
    domain_id: UUID | None = None,
    tags: Sequence[str] = (),
    timeout_seconds: int = 6 * 3600,
    max_attempts: int = 3,
    checked: CheckedCode | None = None,
) -> Pipeline:
    """Create a pipeline with its first version.

    Raises Invalid naming the fields, PipelineNameTaken and LimitReached.
    """
    place(org, by, domain_id)
    _require_room(org)
    built, plan = read(org=org, by=by, config=config, schedule=schedule, checked=checked)
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
    _describe(pipeline, built)
    with transaction.atomic():
        _save(pipeline, new=True)
        versions.add(org=org, pipeline=pipeline, built=built, user_id=by.user_id)
        plan_schedule(org=org, pipeline=pipeline, plan=plan)
        changes = {"name": [None, name], **_pairs(diffs.diff({}, _shown(built)))}
        _record(org, by, "pipeline.create", pipeline, changes)
    return pipeline


def _require_room(org: Org) -> None:
    most = org.max_pipelines
    if most is not None and Pipeline.objects.for_org(org).count() >= most:
        raise LimitReached("pipelines", most)


def update(
    *,
    org: Org,
    by: Principal,
    pipeline_id: UUID,
    changes: Mapping[str, Any],
    patch: bool = True,
    match: Match = None,
    checked: CheckedCode | None = None,
) -> Pipeline:
    """Apply `changes`; `etag` increases if anything differs.

    Raises ChangedMeanwhile, Invalid naming the fields, and PipelineNameTaken.
    """
    pipeline = locked(
        Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id, match=match
    )
    if changes.get("domain_id", pipeline.domain_id) != pipeline.domain_id:
        place(org, by, changes["domain_id"])
    before = versions.current(org, pipeline) if "config" in changes else None
    row = schedule_of(org, pipeline)
    built, plan = _read_changes(
        org, by, changes, before, plans.of(row), patch=patch, checked=checked
    )
    changed = _apply(pipeline, changes)
    with transaction.atomic():
        if before and built and built != before:
            changed |= _new_version(org, by, pipeline, before, built)
        if "schedule" in changes and plan != plans.of(row):
            changed["schedule"] = [_plan_shown(plans.of(row)), _plan_shown(plan)]
            plan_schedule(org=org, pipeline=pipeline, plan=plan, row=row)
        elif "enabled" in changed and row:
            replan(pipeline, row)
        if changed:
            pipeline.etag += 1
            _save(pipeline)
            _record(org, by, "pipeline.update", pipeline, changed)
        if "domain_id" in changed:
            access_notices.recheck_streams(
                org.pk
            )  # a key of the former domain may be following a run
    return pipeline


def delete(*, org: Org, by: Principal, pipeline_id: UUID, match: Match = None) -> None:
    """Delete it with its versions, schedule and runs, and defer the removal of its data in storage.

    Data that it published to the user's own bucket or database is kept. Raises ChangedMeanwhile, and
    RunInProgress while a run is live.
    """
    pipeline = locked(
        Permission.PIPELINES_DELETE, org=org, by=by, pipeline_id=pipeline_id, match=match
    )
    if pipeline.last_run_id is not None and pipeline.last_run_status in RUNNING:
        raise RunInProgress(pipeline.last_run_id)
    with transaction.atomic():
        last = versions.numbered(org, pipeline, pipeline.version)
        shown = definition.mask(last.definition, last.secret_hints)
        _record(org, by, "pipeline.delete", pipeline, _pairs(diffs.diff(shown, {})))
        with (
            connection.cursor() as cursor
        ):  # The foreign keys cascade; Django would load every run to delete it.
            cursor.execute(
                "DELETE FROM pipelines_pipeline WHERE org_id = %s AND id = %s",
                [org.pk, pipeline.pk],
            )
        removal.ask(org_id=org.pk, pipeline_id=pipeline.pk)


def duplicate(*, org: Org, by: Principal, pipeline_id: UUID, name: str | None = None) -> Pipeline:
    """Create a disabled copy with its own secrets, schedule and state. Without `name` an unused one is chosen."""
    pipeline = readable(org=org, by=by, pipeline_id=pipeline_id)
    place(org, by, pipeline.domain_id)
    built = versions.current(org, pipeline)
    copy = Pipeline(
        org=org,
        name=name or _free_name(org, pipeline.name),
        description=pipeline.description,
        enabled=False,
        domain_id=pipeline.domain_id,
        tags=list(pipeline.tags),
        timeout_seconds=pipeline.timeout_seconds,
        max_attempts=pipeline.max_attempts,
        created_by_id=by.user_id,
    )
    _describe(copy, built)
    with transaction.atomic():
        _save(copy, new=True)
        versions.add(org=org, pipeline=copy, built=built, user_id=by.user_id)
        plan_schedule(org=org, pipeline=copy, plan=plans.of(schedule_of(org, pipeline)))
        origin = {"copied_from": [None, str(pipeline.pk)]}
        _record(org, by, "pipeline.duplicate", copy, origin)
    return copy


def set_enabled(*, org: Org, by: Principal, pipeline_id: UUID, enabled: bool) -> Pipeline:
    """Enable or disable; repeating it changes nothing."""
    return update(org=org, by=by, pipeline_id=pipeline_id, changes={"enabled": enabled})


def restore(
    *, org: Org, by: Principal, pipeline_id: UUID, number: int, match: Match = None
) -> Pipeline:
    """Create a new version that equals an old one, secrets included.

    Its code was validated when the old one was created.
    Raises NotFound for a number without a version, ChangedMeanwhile, and Invalid if it is not valid any more.
    """
    pipeline = locked(
        Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id, match=match
    )
    old = versions.opened(org, versions.found(org, pipeline, number))
    before = versions.current(org, pipeline)
    known = CheckedCode(definition.python_of(old) or "")
    plain = definition.joined_document(old)
    built, _ = read(org=org, by=by, config=plain, schedule=None, checked=known)
    if built == before:
        return pipeline
    with transaction.atomic():
        note = f"Restored version {number}"
        changed = _new_version(org, by, pipeline, before, built, note=note)
        pipeline.etag += 1
        _save(pipeline)
        _record(org, by, "pipeline.restore", pipeline, changed)
    return pipeline


def read(
    *, org: Org, by: Principal, config: Sent, schedule: Any, checked: CheckedCode | None = None
) -> tuple[Definition, Plan | None]:
    """Return the definition and schedule of a new pipeline as they would be stored.

    Raises Invalid with all errors, and CodeUnchecked.
    """
    built, errors = _settle(org, by, config, checked=checked)
    plan, found = plans.read(schedule)
    if errors or found:
        raise Invalid([*errors, *found])
    return built, plan


def _read_changes(
    org: Org,
    by: Principal,
    changes: Mapping[str, Any],
    before: Definition | None,
    planned: Plan | None,
    *,
    patch: bool,
    checked: CheckedCode | None,
) -> tuple[Definition | None, Plan | None]:
    """Like `read`, for `changes`. `before` is the current definition if they change it."""
    built, plan, errors = before, None, list[Error]()
    if before:
        config = changes["config"]
        built, errors = _settle(org, by, config, before=before, patch=patch, checked=checked)
    if "schedule" in changes:
        plan, found = plans.read(changes["schedule"], before=planned if patch else None)
        errors += found
    if errors:
        raise Invalid(errors)
    return built, plan


def _settle(
    org: Org,
    by: Principal,
    config: Sent,
    *,
    before: Definition | None = None,
    patch: bool = False,
    checked: CheckedCode | None,
) -> tuple[Definition, list[Error]]:
    """Return the definition and its errors. Raises CodeUnchecked."""
    usable = versions.usable_connectors(org, by, config, before.document if before else {})
    built, errors = definition.build(config, connectors=usable, before=before, patch=patch)
    return built, errors or transforms.errors_of(org.pk, built, before, checked)


def _apply(pipeline: Pipeline, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set the plain fields. Returns {field: [before, after]} of those that differ."""
    changed: dict[str, Any] = {}
    for name in (*PLAIN_FIELDS, "enabled"):
        if name in changes and getattr(pipeline, name) != changes[name]:
            changed[name] = [_plain(getattr(pipeline, name)), _plain(changes[name])]
            setattr(pipeline, name, changes[name])
    return changed


def _new_version(
    org: Org,
    by: Principal,
    pipeline: Pipeline,
    before: Definition,
    built: Definition,
    note: str = "",
) -> dict[str, Any]:
    pipeline.version += 1
    _describe(pipeline, built)
    versions.add(org=org, pipeline=pipeline, built=built, user_id=by.user_id, note=note)
    replaced = diffs.changed_secrets(before.secrets, built.secrets)
    changes = diffs.diff(_shown(before), _shown(built), secrets_changed=replaced)
    return {"version": [pipeline.version - 1, pipeline.version], **_pairs(changes)}


def _describe(pipeline: Pipeline, built: Definition) -> None:
    """Copy the parts of the definition that lists show to the row."""
    source, destination = built.document["source"], built.document["destination"]
    pipeline.source_kind, pipeline.destination_kind = source["kind"], destination["kind"]
    pipeline.custom_source_id = custom_kinds.id_of(source["kind"])
    pipeline.source_connector_id = source["connector_id"]
    pipeline.destination_connector_id = destination["connector_id"]
    pipeline.stream = built.stream["stream"]


SAVED = (
    *PLAIN_FIELDS, "enabled", "version", "source_kind", "destination_kind", "custom_source",
    "source_connector", "destination_connector", "stream", "etag", "updated_at",
)  # fmt: skip


def _save(pipeline: Pipeline, *, new: bool = False) -> None:
    """Save the row, without the last_run columns of an existing row, which apps.runs maintains."""
    try:
        with transaction.atomic():
            if new:
                pipeline.save(force_insert=True)
            else:
                pipeline.save(update_fields=SAVED)
    except IntegrityError as error:
        if "pipelines_pipeline_name" not in str(error):
            raise
        raise PipelineNameTaken from None


def _free_name(org: Org, name: str) -> str:
    """Return the first unused name of "X (copy)", "X (copy 2)" …"""
    stem = name[:100]
    taken = {
        other.lower()
        for other in Pipeline.objects.for_org(org)
        .filter(name__istartswith=f"{stem} (copy")
        .values_list("name", flat=True)
    }
    names = (f"{stem} (copy{f' {n}' if n > 1 else ''})" for n in range(1, len(taken) + 2))
    return next(free for free in names if free.lower() not in taken)


def _shown(built: Definition) -> Document:
    return definition.mask(built.document, built.hints)


def _plan_shown(plan: Plan | None) -> dict[str, Any] | None:
    return {name: getattr(plan, name) for name in plans.FIELDS} if plan else None


def _pairs(changes: list[diffs.Change]) -> dict[str, Any]:
    """For the audit log, which says of code only which it was: versions keep the text."""
    pairs = {f"config.{row['field']}": [row["before"], row["after"]] for row in changes}
    if TRANSFORMS in pairs:
        pairs[TRANSFORMS] = [_digests(side) for side in pairs[TRANSFORMS]]
    return pairs


def _digests(transforms: Any) -> Any:
    if transforms is None:  # there was no pipeline before
        return None
    return [
        {"kind": one["kind"], "sha256": hashlib.sha256(one["code"].encode()).hexdigest()}
        for one in transforms
    ]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


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
