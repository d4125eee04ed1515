"""Create runs from schedules, exactly once per scheduled time, with any number of workers.

A due schedule's row is locked with SKIP LOCKED, so two ticks never handle the same schedule at once. In addition,
UNIQUE(schedule, slot) on runs allows only one run per scheduled time.
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
from apps.pipelines.schedules.blackouts import end_of_blackout
from apps.runs import services
from apps.runs.exceptions import AlreadyEnded
from apps.runs.models import LIVE, ORDINARY_RUNS, Run, Trigger

logger = structlog.get_logger(__name__)

SCHEDULES_PER_TICK = 500  # schedules handled by one tick; the next tick handles more
MISSED_AFTER = timedelta(minutes=5)  # delay after which a scheduled time counts as missed


def tick() -> int:
    """Start runs for up to SCHEDULES_PER_TICK due schedules. Returns how many runs were started."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, schedule_id FROM schedules_due(%s)", [SCHEDULES_PER_TICK])
        due_schedules = cursor.fetchall()
    return apply_to_rows(
        due_schedules, lambda org, schedule: handle_due_schedule(org_id=org, schedule_id=schedule)
    )


def handle_due_schedule(*, org_id: UUID, schedule_id: UUID, now: datetime | None = None) -> bool:
    """Handle one due schedule in one transaction. Returns True if it started a run."""
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
        return _start_if_due(org, pipeline, schedule, now)


def _start_if_due(org: Org, pipeline: Pipeline, schedule: Schedule, now: datetime) -> bool:
    slot = schedule.next_run_at
    if org.suspended_at is not None or org.deletion_at is not None:
        # The schedule continues when the org is active again.
        _set_next_run(schedule, schedules.next_run_at(schedule, now))
        return False
    if slot is None or not pipeline.enabled or schedule.paused_at is not None:
        _set_next_run(schedule, None)
        return False
    if (end := end_of_blackout(schedule, now)) is not None:
        # The start is late. Its times are skipped, or run once afterwards.
        is_skipped = schedule.misfire == Misfire.SKIP
        _set_next_run(schedule, schedules.next_run_at(schedule, now) if is_skipped else end)
        return False
    if _is_missed(pipeline, schedule, slot, now):
        _set_next_run(schedule, schedules.next_run_at(schedule, now))
        return False
    live_run = Run.objects.for_org(org).filter(pipeline=pipeline, status__in=LIVE).first()
    if live_run is not None and not live_run.is_ordinary:
        return False  # The scheduled time stays due, and no chunk of a backfill starts before it.
    if live_run is not None and schedule.overlap != Overlap.SKIP:
        _cancel_live_run_if_configured(org, schedule, live_run)
        return False  # The scheduled time stays due and is checked again when the run has ended.
    has_started = live_run is None and _start(org, pipeline, schedule, slot, now)
    _set_next_run(schedule, schedules.next_run_at(schedule, now))
    return has_started


def _is_missed(pipeline: Pipeline, schedule: Schedule, slot: datetime, now: datetime) -> bool:
    """Whether the start at `slot` is too late and the schedule skips late runs.

    If the schedule lets runs wait (overlap is not `skip`), a start is not too late if a run of the pipeline ended
    after `slot`, because the start waited for this run. Every schedule waits for a chunk of a backfill and for a replay.
    """
    if schedule.misfire != Misfire.SKIP or now - slot <= MISSED_AFTER:
        return False
    ended = pipeline.last_run_finished_at
    if ended is not None and ended > slot and schedule.overlap != Overlap.SKIP:
        return False
    others = Run.objects.for_org(pipeline.org_id).exclude(ORDINARY_RUNS)
    return not others.filter(pipeline=pipeline, finished_at__gt=slot).exists()


def _cancel_live_run_if_configured(org: Org, schedule: Schedule, live_run: Run) -> None:
    if schedule.overlap != Overlap.CANCEL_OTHER:
        return
    try:
        services.cancel(org=org, by=SYSTEM, run_id=live_run.pk)
    except AlreadyEnded:
        logger.debug("run ended before its schedule cancelled it", run=str(live_run.pk))


def _start(org: Org, pipeline: Pipeline, schedule: Schedule, slot: datetime, now: datetime) -> bool:
    delay = schedules.jitter(schedule.pk, slot, schedule.jitter_seconds)
    if end_of_blackout(schedule, now + delay) is not None:
        delay = timedelta(0)  # A delayed run would start within a blackout.
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
            not_before=now + delay if delay else None,
        )
    except RunInProgress:  # A run was started manually at the same moment.
        return False
    return True


def _set_next_run(schedule: Schedule, at: datetime | None) -> None:
    Schedule.objects.for_org(schedule.org_id).filter(pk=schedule.pk).update(next_run_at=at)
