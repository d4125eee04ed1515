"""Change many pipelines in one transaction and a constant number of queries, with an audit event for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.orgs import audit
from apps.orgs.exceptions import Invalid, NotFound, PermissionMissing
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines.models import Pipeline, Schedule
from apps.pipelines.schedules import freshness
from apps.pipelines.schedules.times import next_run_at
from apps.pipelines.serializers import MAX_TAGS
from apps.pipelines.visibility import pipelines


@dataclass(slots=True)
class Outcome:
    """What happened to each pipeline: `failures` has the exception of each one for which nothing was done."""

    done: list[Pipeline] = field(default_factory=list)
    failures: dict[UUID, Exception] = field(default_factory=dict)


def permitted_pipelines(
    permission: Permission, *, org: Org, by: Principal, ids: Sequence[UUID], lock: bool = False
) -> Outcome:
    """Return the pipelines for which the principal has the permission, and NotFound or PermissionMissing for the others.

    They are in the order of their ids. With `lock`, they are locked in this order, after their schedules.
    """
    rows = pipelines(org, by).filter(pk__in=ids).order_by("pk")
    if lock:
        schedules = Schedule.objects.for_org(org).filter(pipeline_id__in=ids)
        list(schedules.order_by("pipeline_id").select_for_update())
        rows = rows.select_for_update(of=("self",))
    found = {row.pk: row for row in rows}
    outcome = Outcome(failures={pk: NotFound() for pk in ids if pk not in found})
    for pipeline in found.values():
        if by.may(permission, domain_id=pipeline.domain_id):
            outcome.done.append(pipeline)
        else:
            outcome.failures[pipeline.pk] = PermissionMissing(permission)
    return outcome


def set_enabled(*, org: Org, by: Principal, ids: Sequence[UUID], enabled: bool) -> Outcome:
    """Enable or disable the pipelines and their schedules."""

    def change(pipeline: Pipeline) -> None:
        pipeline.enabled = enabled

    return _change(org, by, ids, "enabled", change)


def add_tags(*, org: Org, by: Principal, ids: Sequence[UUID], tags: Sequence[str]) -> Outcome:
    """Add the tags to the pipelines. A pipeline that would have too many tags is not changed."""

    def change(pipeline: Pipeline) -> None:
        new_tags = list(dict.fromkeys([*pipeline.tags, *tags]))
        if len(new_tags) > MAX_TAGS:
            raise Invalid([("tags", f"A pipeline has at most {MAX_TAGS} tags.", "many")])
        pipeline.tags = new_tags

    return _change(org, by, ids, "tags", change)


def remove_tags(*, org: Org, by: Principal, ids: Sequence[UUID], tags: Sequence[str]) -> Outcome:
    """Remove the tags from the pipelines."""

    def change(pipeline: Pipeline) -> None:
        pipeline.tags = [tag for tag in pipeline.tags if tag not in tags]

    return _change(org, by, ids, "tags", change)


def _change(
    org: Org,
    by: Principal,
    ids: Sequence[UUID],
    column: str,
    change: Callable[[Pipeline], None],
) -> Outcome:
    outcome = permitted_pipelines(Permission.PIPELINES_EDIT, org=org, by=by, ids=ids, lock=True)
    now = timezone.now()
    changed: list[tuple[Pipeline, Any]] = []
    for pipeline in list(outcome.done):
        before = getattr(pipeline, column)
        try:
            change(pipeline)
        except Invalid as error:
            outcome.done.remove(pipeline)
            outcome.failures[pipeline.pk] = error
            continue
        if getattr(pipeline, column) != before:
            pipeline.etag += 1
            pipeline.updated_at = now
            changed.append((pipeline, before))
    rows = [pipeline for pipeline, _ in changed]
    if column == "enabled":
        _update_schedules(org, rows)
    columns = [column, "etag", "updated_at", "late_at"]
    Pipeline.objects.for_org(org).bulk_update(rows, columns)
    audit.record_many(
        org=org,
        by=by,
        events=[
            audit.NewEvent(
                action="pipeline.update",
                object_kind="pipeline",
                object_id=pipeline.pk,
                object_label=pipeline.name,
                changes={column: [before, getattr(pipeline, column)]},
            )
            for pipeline, before in changed
        ],
    )
    return outcome


def _update_schedules(org: Org, rows: Sequence[Pipeline]) -> None:
    """Store the times of the next runs, and set when the pipelines are late."""
    by_id = {row.pk: row for row in rows}
    schedules = list(Schedule.objects.for_org(org).filter(pipeline_id__in=by_id))
    now = timezone.now()
    for schedule in schedules:
        pipeline = by_id[schedule.pipeline_id]
        is_active = pipeline.enabled and schedule.paused_at is None
        schedule.next_run_at = next_run_at(schedule, now) if is_active else None
        schedule.updated_at = now
        pipeline.late_at = freshness.late_at(pipeline, schedule, after=now)
    Schedule.objects.for_org(org).bulk_update(schedules, ["next_run_at", "updated_at"])
