"""The verbs of pipelines: each one transaction, one audit event; a changed definition makes a new version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.connectors import engine
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.schemas import Error
from apps.orgs import audit
from apps.orgs.exceptions import Invalid, LimitReached
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines import definition, diffs, removal, versions
from apps.pipelines.definition import Definition
from apps.pipelines.exceptions import PipelineNameTaken, RunInProgress
from apps.pipelines.models import Pipeline, PipelineVersion, Schedule
from apps.pipelines.schedules import plans
from apps.pipelines.schedules.plans import Plan
from apps.pipelines.schedules.times import next_run_at

PLAIN_FIELDS = ("name", "description", "domain_id", "tags", "timeout_seconds", "max_attempts")
RUNNING = ("pending", "running")  # words of apps.runs, which keeps last_run_status


def create(
    *,
    org: Org,
    by: Principal,
    name: str,
    config: Mapping[str, Any],
    description: str = "",
    schedule: Any = None,
    enabled: bool = True,
    domain_id: UUID | None = None,
    tags: Sequence[str] = (),
    timeout_seconds: int = 6 * 3600,
    max_attempts: int = 3,
) -> Pipeline:
    """A pipeline with its first version. Raises Invalid naming the fields, PipelineNameTaken and LimitReached."""
    _require_room(org)
    settled, plan = read(org=org, by=by, config=config, schedule=schedule)
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
    _describe(pipeline, settled)
    with transaction.atomic():
        _save(pipeline, new=True)
        versions.add(org=org, pipeline=pipeline, settled=settled, user_id=by.user_id)
        plan_schedule(org=org, pipeline=pipeline, plan=plan)
        changes = {"name": [None, name], **_pairs(diffs.diff({}, _shown(settled)))}
        _record(org, by, "pipeline.create", pipeline, changes)
    return pipeline


def _require_room(org: Org) -> None:
    most = org.max_pipelines
    if most is not None and Pipeline.objects.for_org(org).count() >= most:
        raise LimitReached("pipelines", most)


def update(
    *, org: Org, by: Principal, pipeline: Pipeline, changes: Mapping[str, Any], patch: bool = True
) -> Pipeline:
    """Change what `changes` names of a locked pipeline; `etag` rises if anything differs.

    Raises Invalid naming the fields, and PipelineNameTaken.
    """
    before = versions.current(org, pipeline) if "config" in changes else None
    row = schedule_of(org, pipeline)
    settled, plan = read(
        org=org,
        by=by,
        config=changes.get("config", {}),
        schedule=changes.get("schedule"),
        before=before,
        planned=plans.of(row) if patch else None,
        patch=patch,
        look_at=changes.keys() & {"config", "schedule"},
    )
    changed = _apply(pipeline, changes)
    with transaction.atomic():
        if before and settled != before:
            changed |= _new_version(org, by, pipeline, before, settled)
        if "schedule" in changes and plan != plans.of(row):
            changed["schedule"] = [_plan_shown(plans.of(row)), _plan_shown(plan)]
            plan_schedule(org=org, pipeline=pipeline, plan=plan, row=row)
        elif "enabled" in changed and row:
            replan(pipeline, row)
        if changed:
            pipeline.etag += 1
            _save(pipeline)
            _record(org, by, "pipeline.update", pipeline, changed)
    return pipeline


def delete(*, org: Org, by: Principal, pipeline: Pipeline) -> None:
    """Remove it with its versions, schedule and runs, and ask that what they left in storage be removed.

    What it published into a bucket or database of the user's own stays. Raises RunInProgress while a run is live.
    """
    if pipeline.last_run_id is not None and pipeline.last_run_status in RUNNING:
        raise RunInProgress(pipeline.last_run_id)
    with transaction.atomic():
        last = versions.numbered(org, pipeline, pipeline.version)
        shown = definition.mask(last.definition, last.secret_hints)
        _record(org, by, "pipeline.delete", pipeline, _pairs(diffs.diff(shown, {})))
        with (
            connection.cursor() as cursor
        ):  # the keys cascade; Django would load every run to do so
            cursor.execute(
                "DELETE FROM pipelines_pipeline WHERE org_id = %s AND id = %s",
                [org.pk, pipeline.pk],
            )
        removal.ask(org_id=org.pk, pipeline_id=pipeline.pk)


def duplicate(*, org: Org, by: Principal, pipeline: Pipeline, name: str | None = None) -> Pipeline:
    """A disabled copy with its own secrets, schedule and state. Without `name` a free one is found."""
    settled = versions.current(org, pipeline)
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
    _describe(copy, settled)
    with transaction.atomic():
        _save(copy, new=True)
        versions.add(org=org, pipeline=copy, settled=settled, user_id=by.user_id)
        plan_schedule(org=org, pipeline=copy, plan=plans.of(schedule_of(org, pipeline)))
        origin = {"copied_from": [None, str(pipeline.pk)]}
        _record(org, by, "pipeline.duplicate", copy, origin)
    return copy


def set_enabled(*, org: Org, by: Principal, pipeline: Pipeline, enabled: bool) -> Pipeline:
    """Enable or disable; saying so twice changes nothing."""
    return update(org=org, by=by, pipeline=pipeline, changes={"enabled": enabled})


def restore(*, org: Org, by: Principal, pipeline: Pipeline, version: PipelineVersion) -> Pipeline:
    """A new version that equals an old one, secrets included. Raises Invalid if it cannot work any more."""
    before, old = versions.current(org, pipeline), versions.opened(org, version)
    plain = definition.joined_document(old)
    settled, _ = read(org=org, by=by, config=plain, schedule=None)
    if settled == before:
        return pipeline
    with transaction.atomic():
        note = f"Restored version {version.number}"
        changed = _new_version(org, by, pipeline, before, settled, note=note)
        pipeline.etag += 1
        _save(pipeline)
        _record(org, by, "pipeline.restore", pipeline, changed)
    return pipeline


def read(
    *,
    org: Org,
    by: Principal,
    config: Mapping[str, Any],
    schedule: Any,
    before: Definition | None = None,
    planned: Plan | None = None,
    patch: bool = False,
    look_at: Any = ("config", "schedule"),
) -> tuple[Definition, Plan | None]:
    """The definition and schedule as they would be stored. Raises Invalid with everything that is wrong."""
    errors = []
    settled, plan = before or Definition({}), None
    if "config" in look_at:
        usable = versions.usable_connectors(org, by, config, before.document if before else {})
        settled, found = definition.settle(config, connectors=usable, before=before, patch=patch)
        errors += found or transform_errors(org, settled, before)
    if "schedule" in look_at:
        plan, found = plans.read(schedule, before=planned)
        errors += found
    if errors:
        raise Invalid(errors)
    return settled, plan


def read_source(*, org: Org, by: Principal, config: Mapping[str, Any]) -> Definition:
    """A definition that is good enough to preview. Raises Invalid."""
    usable = versions.usable_connectors(org, by, config)
    settled, errors = definition.settle_source(config, connectors=usable)
    if errors := errors or transform_errors(org, settled, None):
        raise Invalid(errors)
    return settled


def with_transforms(org: Org, settled: Definition, transforms: Any) -> Definition:
    """The definition with other transforms, for a preview. Raises Invalid."""
    changed, errors = definition.with_transforms(settled, transforms)
    if errors := errors or transform_errors(org, changed, settled):
        raise Invalid(errors)
    return changed


def transform_errors(org: Org, settled: Definition, before: Definition | None) -> list[Error]:
    """What is wrong with the text of a new transform. Runs nothing of it."""
    code = definition.python_of(settled.document)
    if code is None or (before and code == definition.python_of(before.document)):
        return []
    field = "transforms.0.code"
    report = engine.validate_transform(org_id=org.pk, code=code, field=field)
    return [
        (field, f"Line {one['line']}: {one['message']}", "invalid_code") for one in report["errors"]
    ]


def schedule_of(org: Org, pipeline: Pipeline) -> Schedule | None:
    found: Schedule | None = (
        Schedule.objects.for_org(org).filter(pipeline=pipeline).select_related("paused_by").first()
    )
    return found


def plan_schedule(
    *, org: Org, pipeline: Pipeline, plan: Plan | None, row: Schedule | None = None
) -> None:
    """Make the pipeline's Schedule row what `plan` says. A pause outlives a changed plan."""
    if plan is None:
        if row:
            row.delete()
        return
    row = row or Schedule(org=org, pipeline=pipeline)
    for name in plans.FIELDS:
        setattr(row, name, getattr(plan, name))
    row.next_run_at = None
    replan(pipeline, row)


def replan(pipeline: Pipeline, row: Schedule) -> None:
    """Set when it runs next: never while disabled or paused."""
    runs = pipeline.enabled and row.paused_at is None
    row.next_run_at = next_run_at(row, timezone.now()) if runs else None
    row.save()


def pause(*, org: Org, by: Principal, pipeline: Pipeline, row: Schedule, note: str = "") -> None:
    """Stop the schedule, saying who and why. Pausing again changes the note."""
    before = row.paused_note if row.paused_at else None
    row.paused_at = row.paused_at or timezone.now()
    row.paused_note, row.paused_by_id = note, by.user_id
    replan(pipeline, row)
    _record(org, by, "schedule.pause", pipeline, {"schedule.paused_note": [before, note]})


def resume(*, org: Org, by: Principal, pipeline: Pipeline, row: Schedule) -> None:
    """Go on from now: times that passed meanwhile are not made up for."""
    if row.paused_at is None:
        return
    row.paused_at, row.paused_note, row.paused_by = None, "", None
    replan(pipeline, row)
    _record(org, by, "schedule.resume", pipeline, {})


def _apply(pipeline: Pipeline, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set the plain fields; {field: [before, after]} of those that differ."""
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
    settled: Definition,
    note: str = "",
) -> dict[str, Any]:
    pipeline.version += 1
    _describe(pipeline, settled)
    versions.add(org=org, pipeline=pipeline, settled=settled, user_id=by.user_id, note=note)
    replaced = diffs.changed_secrets(before.secrets, settled.secrets)
    changes = diffs.diff(_shown(before), _shown(settled), secrets_changed=replaced)
    return {"version": [pipeline.version - 1, pipeline.version], **_pairs(changes)}


def _describe(pipeline: Pipeline, settled: Definition) -> None:
    """Repeat on the row what lists show of the definition."""
    source, destination = settled.document["source"], settled.document["destination"]
    pipeline.source_kind, pipeline.destination_kind = source["kind"], destination["kind"]
    pipeline.custom_source_id = custom_kinds.id_of(source["kind"])
    pipeline.source_connector_id = source["connector_id"]
    pipeline.destination_connector_id = destination["connector_id"]
    pipeline.stream = source["stream"]


SAVED = (
    *PLAIN_FIELDS, "enabled", "version", "source_kind", "destination_kind", "custom_source",
    "source_connector", "destination_connector", "stream", "etag", "updated_at",
)  # fmt: skip


def _save(pipeline: Pipeline, *, new: bool = False) -> None:
    """Never the last_run columns of an existing row: they are apps.runs'."""
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
    """ "X (copy)", "X (copy 2)" …, the first that is free."""
    stem = name[:100]
    taken = {
        other.lower()
        for other in Pipeline.objects.for_org(org)
        .filter(name__istartswith=f"{stem} (copy")
        .values_list("name", flat=True)
    }
    names = (f"{stem} (copy{f' {n}' if n > 1 else ''})" for n in range(1, len(taken) + 2))
    return next(free for free in names if free.lower() not in taken)


def _shown(settled: Definition) -> dict[str, Any]:
    return definition.mask(settled.document, settled.hints)


def _plan_shown(plan: Plan | None) -> dict[str, Any] | None:
    return {name: getattr(plan, name) for name in plans.FIELDS} if plan else None


def _pairs(changes: list[diffs.Change]) -> dict[str, Any]:
    """For the audit trail, which says of code only which it was: versions keep the text."""
    pairs = {f"config.{row['field']}": [row["before"], row["after"]] for row in changes}
    if "config.transforms" in pairs:
        pairs["config.transforms"] = [_digests(side) for side in pairs["config.transforms"]]
    return pairs


def _digests(transforms: Any) -> Any:
    return [
        {"kind": one["kind"], "sha256": hashlib.sha256(one["code"].encode()).hexdigest()}
        for one in transforms or ()
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
