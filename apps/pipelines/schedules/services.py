"""Actions on schedules, and the update of a schedule when its pipeline changes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines.exceptions import NoSchedule
from apps.pipelines.models import Pipeline, Schedule
from apps.pipelines.schedules import freshness, plans
from apps.pipelines.schedules.plans import Plan
from apps.pipelines.schedules.times import next_run_at
from apps.pipelines.visibility import find_pipeline, lock_pipeline


def pause(*, org: Org, by: Principal, pipeline_id: UUID, note: str = "") -> Pipeline:
    """Pause the schedule, and store the user and the note. A second pause changes the note. Raises NoSchedule."""
    pipeline, row = _lock_schedule(org, by, pipeline_id)
    before = row.paused_note if row.paused_at else None
    row.paused_at = row.paused_at or timezone.now()
    row.paused_note, row.paused_by_id = note, by.user_id
    update_next_run(pipeline, row)
    _record(org, by, "schedule.pause", pipeline, {"schedule.paused_note": [before, note]})
    return pipeline


def resume(*, org: Org, by: Principal, pipeline_id: UUID) -> Pipeline:
    """Resume the schedule from now on, and skip the times of the pause. Raises NoSchedule."""
    pipeline, row = _lock_schedule(org, by, pipeline_id)
    if row.paused_at is not None:
        row.paused_at, row.paused_note, row.paused_by = None, "", None
        update_next_run(pipeline, row)
        _record(org, by, "schedule.resume", pipeline, {})
    return pipeline


def find_schedule(*, org: Org, by: Principal, pipeline_id: UUID) -> Schedule:
    """Return the schedule of a pipeline. Raises NotFound, and NoSchedule if it has none."""
    return _require_schedule(
        schedule_of(org, find_pipeline(org=org, by=by, pipeline_id=pipeline_id))
    )


def schedule_of(org: Org, pipeline: Pipeline) -> Schedule | None:
    return (
        Schedule.objects.for_org(org).filter(pipeline=pipeline).select_related("paused_by").first()
    )


def apply_plan(
    *, org: Org, pipeline: Pipeline, plan: Plan | None, row: Schedule | None = None
) -> None:
    """Create, change or delete the pipeline's Schedule row according to `plan`. A paused schedule remains paused."""
    if plan is None:
        if row:
            row.delete()
        freshness.restart(pipeline, None)
        return
    row = row or Schedule(org=org, pipeline=pipeline)
    for name in plans.FIELDS:
        setattr(row, name, getattr(plan, name))
    row.next_run_at = None
    update_next_run(pipeline, row)


def update_next_run(pipeline: Pipeline, row: Schedule) -> None:
    """Store the time of the next run, and when the pipeline is late.

    Both are None while the pipeline is disabled or the schedule is paused.
    """
    is_active = pipeline.enabled and row.paused_at is None
    row.next_run_at = next_run_at(row, timezone.now()) if is_active else None
    row.save()
    freshness.restart(pipeline, row)


def _lock_schedule(org: Org, by: Principal, pipeline_id: UUID) -> tuple[Pipeline, Schedule]:
    pipeline = lock_pipeline(Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id)
    return pipeline, _require_schedule(schedule_of(org, pipeline))


def _require_schedule(row: Schedule | None) -> Schedule:
    if row is None:
        raise NoSchedule
    return row


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
