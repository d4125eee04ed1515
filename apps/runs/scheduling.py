"""Create runs from schedules, exactly once per scheduled time, with any number of workers.

A due schedule's row is locked with SKIP LOCKED, so two ticks never handle the same one. UNIQUE(schedule, slot)
on runs guarantees it even then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import connection
from django.utils import timezone

from apps.background.retries import apply_to_rows
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.walls.scope import org_scope
from apps.pipelines.exceptions import RunInProgress
from apps.pipelines.models import Misfire, Overlap, Pipeline, Schedule
from apps.pipelines.schedules import times as schedules
from apps.runs import services
from apps.runs.exceptions import AlreadyEnded
from apps.runs.models import LIVE, Run, Trigger

logger = structlog.get_logger(__name__)

AT_ONCE = 500  # schedules handled by one tick; the next tick handles the rest
LATE = timedelta(minutes=5)  # delay after which a scheduled time counts as missed


def tick() -> int:
    """Start every run that is due. Returns their number."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, schedule_id FROM schedules_due(%s)", [AT_ONCE])
        due = cursor.fetchall()
    return apply_to_rows(due, lambda org, schedule: fire(org_id=org, schedule_id=schedule))


def fire(*, org_id: UUID, schedule_id: UUID, now: datetime | None = None) -> bool:
    """Handle one due schedule in one transaction, as of `now`. Returns True if it started a run."""
    now = now or timezone.now()
    with org_scope(org_id):
        schedule = (
            Schedule.objects.for_org(org_id)
            .filter(pk=schedule_id, next_run_at__lte=now)
            .select_for_update(skip_locked=True, of=("self",))
            .first()
        )
        if schedule is None:  # Another worker handles it, or has handled it.
            return False
        org = Org.objects.get(pk=org_id)
        pipeline = Pipeline.objects.for_org(org).get(pk=schedule.pipeline_id)
        return _handle(org, pipeline, schedule, now)


def _handle(org: Org, pipeline: Pipeline, schedule: Schedule, now: datetime) -> bool:
    slot = schedule.next_run_at
    if org.suspended_at is not None or org.deletion_at is not None:
        # The schedule continues when the org is active again.
        _set_next(schedule, schedules.advance(schedule, now))
        return False
    if slot is None or not pipeline.enabled or schedule.paused_at is not None:
        _set_next(schedule, None)
        return False
    if _missed(pipeline, schedule, slot, now):
        _set_next(schedule, schedules.advance(schedule, now))
        return False
    live = Run.objects.for_org(org).filter(pipeline=pipeline, status__in=LIVE).first()
    if live is not None and schedule.overlap != Overlap.SKIP:
        _make_room(org, schedule, live)
        return False  # The scheduled time stays due and is checked again when the run has ended.
    started = live is None and _start(org, pipeline, schedule, slot, now)
    _set_next(schedule, schedules.advance(schedule, now))
    return started


def _missed(pipeline: Pipeline, schedule: Schedule, slot: datetime, now: datetime) -> bool:
    """Whether it was not started in time and its policy is to skip late runs.

    A time that passed while the pipeline's own run was running was not missed.
    """
    if schedule.misfire != Misfire.SKIP or now - slot <= LATE:
        return False
    ended = pipeline.last_run_finished_at
    return not (schedule.overlap != Overlap.SKIP and ended is not None and ended > slot)


def _make_room(org: Org, schedule: Schedule, live: Run) -> None:
    if schedule.overlap != Overlap.CANCEL_OTHER:
        return
    try:
        services.cancel(org=org, by=SYSTEM, run_id=live.pk)
    except AlreadyEnded:
        logger.debug("run ended before its schedule cancelled it", run=str(live.pk))


def _start(org: Org, pipeline: Pipeline, schedule: Schedule, slot: datetime, now: datetime) -> bool:
    held_back = schedules.jitter(schedule.pk, slot, schedule.jitter_seconds)
    if Run.objects.for_org(org).filter(schedule=schedule, slot=slot).exists():
        return False
    try:
        services.start(
            org=org,
            by=SYSTEM,
            pipeline_id=pipeline.pk,
            trigger=Trigger.SCHEDULE,
            schedule=schedule,
            slot=slot,
            not_before=now + held_back if held_back else None,
        )
    except RunInProgress:  # It was started manually at the same moment.
        return False
    return True


def _set_next(schedule: Schedule, at: datetime | None) -> None:
    Schedule.objects.for_org(schedule.org_id).filter(pk=schedule.pk).update(next_run_at=at)
