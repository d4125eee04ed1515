"""Actions on runs: each is one transaction with one audit event and, if needed, one deferred job.

Each function takes ids. It raises NotFound for objects that `by` cannot see, and PermissionMissing if `by` lacks
the permission.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines.exceptions import RunInProgress
from apps.pipelines.models import Schedule
from apps.runs import states
from apps.runs.claiming import queue
from apps.runs.exceptions import (
    AlreadyEnded,
    BackfillInProgress,
    NothingToSend,
    NotRetryable,
    PipelineDisabled,
)
from apps.runs.models import (
    LIVE,
    UNATTENDED_TRIGGERS,
    Backfill,
    Run,
    RunStream,
    Status,
    Trigger,
    UpstreamRun,
)
from apps.runs.replays.possible import refusal_of_retry
from apps.runs.usage import counting as usage
from apps.runs.visibility import find_permitted_pipeline, find_permitted_run

# Seconds after which a run is cancelled even if its worker does not respond.
CANCEL_ENFORCED_AFTER = 7


def start(
    *,
    org: Org,
    by: Principal,
    pipeline_id: UUID,
    trigger: Trigger | None = None,
    force: bool = False,
    schedule: Schedule | None = None,
    slot: datetime | None = None,
    not_before: datetime | None = None,
    backfill: Backfill | None = None,
    chunk: int | None = None,
    replay_of: Run | None = None,
    upstream_runs: Sequence[UpstreamRun] = (),
) -> Run:
    """Create a pending run and the job that will execute it. `upstream_runs` are stored with it.

    Without a `trigger`, the trigger is `api` if `by` is an API key, else `manual`. Raises PipelineDisabled if the
    pipeline is disabled and `force` is not set, RunInProgress if the pipeline has a live run, and LimitReached if a
    monthly limit of the org is reached and somebody waits for the answer.
    """
    pipeline = find_permitted_pipeline(
        Permission.PIPELINES_RUN, org=org, by=by, pipeline_id=pipeline_id
    )
    if not pipeline.enabled and not force:
        raise PipelineDisabled
    _refuse_second_live_run(org, pipeline.pk)
    # Nobody would see an exception of a scheduled start. Its run is created, and fails with the reason.
    if trigger not in UNATTENDED_TRIGGERS:
        usage.require_below_limits(org)
    run = Run(
        org=org,
        pipeline=pipeline,
        version=pipeline.version,
        trigger=trigger or (Trigger.API if by.actor.kind == "api_key" else Trigger.MANUAL),
        triggered_by_id=by.user_id,
        schedule=schedule,
        slot=slot,
        not_before=not_before,
        backfill=backfill,
        chunk=chunk,
        replay_of=replay_of,
        # A chunk of a backfill and a replay read one stream each, and which ones they are is decided later.
        streams_total=pipeline.stream_count if backfill is None and replay_of is None else 0,
        max_attempts=pipeline.max_attempts,
        timeout_seconds=pipeline.timeout_seconds,
    )
    with transaction.atomic():
        queue.wake_worker(at=not_before)
        _insert(run)
        for upstream_run in upstream_runs:
            upstream_run.run = run
        UpstreamRun.objects.for_org(org).bulk_create(upstream_runs)
        _audit(org, by, "run.start", run, pipeline.name)
        states.announce(org_id=org.pk, run_id=run.pk)
    return run


def cancel(*, org: Org, by: Principal, run_id: UUID) -> None:
    """Cancel the run: at once if it is waiting, within ten seconds if it is running.

    Raises AlreadyEnded if the run has ended. While the run is running, a second call has no effect on it.
    """
    run = find_permitted_run(Permission.RUNS_CANCEL, org=org, by=by, run_id=run_id)
    with transaction.atomic():
        _audit(org, by, "run.cancel", run)
        if states.move(
            org_id=org.pk,
            run_id=run.pk,
            before=Status.PENDING,
            after=Status.CANCELLED,
            finished_at=Now(),
            cancel_requested_at=Now(),
        ):
            return
        running_run = Run.objects.for_org(org).filter(pk=run.pk, status=Status.RUNNING)
        if running_run.filter(cancel_requested_at=None).update(cancel_requested_at=Now()):
            queue.enforce_cancel(org_id=org.pk, run_id=run.pk, seconds=CANCEL_ENFORCED_AFTER)
            states.announce(org_id=org.pk, run_id=run.pk)
        elif not running_run.exists():
            raise AlreadyEnded


def retry(*, org: Org, by: Principal, run_id: UUID) -> None:
    """Retry a failed or cancelled run from its last checkpoints, with the current limits of its pipeline.

    Streams that have succeeded are not run again. If the run is a chunk of a backfill, the backfill goes on after it.

    Raises NotRetryable, RunInProgress if the pipeline has a live run now, NothingToSend if the
    records of a replay have arrived meanwhile or may not be sent any more, and BackfillInProgress.
    """
    run = find_permitted_run(Permission.PIPELINES_RUN, org=org, by=by, run_id=run_id)
    before = Status(run.status)
    if before not in {Status.FAILED, Status.CANCELLED}:
        raise NotRetryable
    _refuse_second_live_run(org, run.pipeline_id)
    try:
        with transaction.atomic():
            moved = states.move(
                org_id=org.pk,
                run_id=run.pk,
                before=before,
                after=Status.PENDING,
                trigger=Trigger.REPLAY if run.trigger == Trigger.REPLAY else Trigger.RETRY,
                max_attempts=run.pipeline.max_attempts,
                timeout_seconds=run.pipeline.timeout_seconds,
                **VALUES_AT_RETRY,
            )
            if not moved:
                raise NotRetryable
            # No other run of the pipeline is live from here on, so nothing changes what is possible.
            if refusal := refusal_of_retry(org, run):
                raise NothingToSend(refusal)
            streams = RunStream.objects.for_org(org).filter(run=run)
            streams.exclude(status=Status.SUCCEEDED).update(
                status=Status.PENDING, **states.NO_FAILURE
            )
            _resume_backfill(run)
            queue.wake_worker()
            _audit(org, by, "run.retry", run)
    except IntegrityError:
        _refuse_second_live_run(org, run.pipeline_id)
        raise


def _resume_backfill(run: Run) -> None:
    """Let the backfill of a chunk go on after the chunk. Raises BackfillInProgress if its stream has another one."""
    if run.backfill_id is None:
        return
    backfill = Backfill.objects.for_org(run.org_id).get(pk=run.backfill_id)
    others = Backfill.objects.for_org(run.org_id).filter(
        pipeline_id=run.pipeline_id, stream=backfill.stream, status=Status.RUNNING
    )
    if (other := others.exclude(pk=backfill.pk).first()) is not None:
        raise BackfillInProgress(other.pk)
    rows = Backfill.objects.for_org(run.org_id).filter(pk=backfill.pk)
    rows.update(status=Status.RUNNING, failure_message="", finished_at=None)


VALUES_AT_RETRY: dict[str, Any] = {
    "started_at": None,
    "finished_at": None,
    "not_before": None,
    "cancel_requested_at": None,
    "idle_attempts": 0,
    "crashes": 0,
    "rate": None,
    "streams_failed": 0,
    **states.NO_FAILURE,
}


def _insert(run: Run) -> None:
    """Insert the run. Raises RunInProgress if another run of the pipeline was inserted at the same moment."""
    try:
        with transaction.atomic():
            run.save(force_insert=True)
    except IntegrityError:
        _refuse_second_live_run(run.org, run.pipeline_id)
        raise


def _refuse_second_live_run(org: Org, pipeline_id: UUID) -> None:
    live_runs = Run.objects.for_org(org).filter(pipeline_id=pipeline_id, status__in=LIVE)
    if (run_id := live_runs.values_list("id", flat=True).first()) is not None:
        raise RunInProgress(run_id)


def _audit(org: Org, by: Principal, action: str, run: Run, name: str = "") -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="run",
        object_id=run.pk,
        object_label=name,
        changes={"pipeline_id": [None, str(run.pipeline_id)]} if action == "run.start" else None,
    )
