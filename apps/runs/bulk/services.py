"""Act on many pipelines, each action in one transaction and a constant number of queries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Subquery

from apps.orgs import audit
from apps.orgs.exceptions import Conflict
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines.bulk import changes
from apps.pipelines.bulk.changes import Outcome, permitted_pipelines
from apps.pipelines.exceptions import RunInProgress
from apps.pipelines.models import Pipeline
from apps.runs import services, states
from apps.runs.claiming import queue
from apps.runs.exceptions import NotRetryable, PipelineDisabled
from apps.runs.models import LIVE, Run, RunStream, Status, Trigger
from apps.runs.usage import counting as usage

ACTIONS = {
    "run": Permission.PIPELINES_RUN,
    "retry": Permission.PIPELINES_RUN,
    "enable": Permission.PIPELINES_EDIT,
    "disable": Permission.PIPELINES_EDIT,
    "tag": Permission.PIPELINES_EDIT,
    "untag": Permission.PIPELINES_EDIT,
}
RETRYABLE = (Status.FAILED, Status.CANCELLED)


def act(
    *, org: Org, by: Principal, action: str, ids: Sequence[UUID], tags: Sequence[str] = ()
) -> Outcome:
    """Do one of ACTIONS with many pipelines. `tags` are those to add or to remove.

    Raises PermissionMissing if the principal has the permission for no pipeline at all, and LimitReached.
    """
    if not by.may_somewhere(ACTIONS[action]):
        by.require(ACTIONS[action])
    match action:
        case "run":
            return start(org=org, by=by, ids=ids)
        case "retry":
            return retry(org=org, by=by, ids=ids)
        case "tag":
            return changes.add_tags(org=org, by=by, ids=ids, tags=tags)
        case "untag":
            return changes.remove_tags(org=org, by=by, ids=ids, tags=tags)
    return changes.set_enabled(org=org, by=by, ids=ids, enabled=action == "enable")


def start(*, org: Org, by: Principal, ids: Sequence[UUID]) -> Outcome:
    """Start a run of each pipeline that is enabled and has no live run. Raises LimitReached if nothing may run."""
    outcome = permitted_pipelines(Permission.PIPELINES_RUN, org=org, by=by, ids=ids)
    if not outcome.done:
        return outcome
    usage.require_below_limits(org)
    _leave_out(outcome, {p.pk: PipelineDisabled() for p in outcome.done if not p.enabled})
    _leave_out(outcome, _in_progress(org, outcome.done))
    trigger = Trigger.API if by.actor.kind == "api_key" else Trigger.MANUAL
    runs = [
        Run(
            org=org,
            pipeline=pipeline,
            version=pipeline.version,
            trigger=trigger,
            triggered_by_id=by.user_id,
            streams_total=pipeline.stream_count,
            max_attempts=pipeline.max_attempts,
            timeout_seconds=pipeline.timeout_seconds,
        )
        for pipeline in outcome.done
    ]
    with transaction.atomic():
        # The database refuses a second live run of a pipeline that another request has started at the same moment.
        Run.unscoped.bulk_create(runs, ignore_conflicts=True)
        rows = Run.objects.for_org(org).filter(pk__in=[run.pk for run in runs])
        started = set(rows.values_list("pk", flat=True))
        refused = [run.pipeline for run in runs if run.pk not in started]
        _leave_out(outcome, {p.pk: Conflict("Another run has just started.") for p in refused})
        _leave_out(outcome, _in_progress(org, refused))
        _finish(org, by, "run.start", [run for run in runs if run.pk in started])
    return outcome


def retry(*, org: Org, by: Principal, ids: Sequence[UUID]) -> Outcome:
    """Retry the last run of each pipeline whose last run has failed or was cancelled."""
    outcome = permitted_pipelines(Permission.PIPELINES_RUN, org=org, by=by, ids=ids)
    last_run_ids = [p.last_run_id for p in outcome.done if p.last_run_id is not None]
    last_runs = Run.objects.for_org(org).filter(pk__in=last_run_ids, status__in=RETRYABLE)
    with transaction.atomic():
        # Locked in the order of their ids, so that two requests cannot deadlock.
        locked = last_runs.order_by("pk").select_for_update(of=("self",)).select_related("pipeline")
        found = {run.pk: run for run in locked}
        # Another run may have become the last one before the lock. That one is not retried: nobody has chosen it.
        runs = {pk: found[run_id] for pk, run_id in _last_run_ids(org, outcome) if run_id in found}
        _leave_out(outcome, {p.pk: NotRetryable() for p in outcome.done if p.pk not in runs})
        _leave_out(outcome, _in_progress(org, outcome.done))
        chosen = [runs[pipeline.pk] for pipeline in outcome.done]
        ordinary = [run for run in chosen if run.is_ordinary]
        try:
            with transaction.atomic():
                _retry_ordinary(org, by, ordinary)
        except IntegrityError:
            # Another request has started one of the pipelines at the same moment.
            _retry_each(org, by, ordinary, outcome)
        _retry_each(org, by, [run for run in chosen if not run.is_ordinary], outcome)
    return outcome


def _last_run_ids(org: Org, outcome: Outcome) -> list[tuple[UUID, UUID | None]]:
    rows = Pipeline.objects.for_org(org).filter(pk__in=[p.pk for p in outcome.done])
    return list(rows.values_list("pk", "last_run_id"))


def _retry_ordinary(org: Org, by: Principal, runs: Sequence[Run]) -> None:
    ids = [run.pk for run in runs]
    pipeline = Pipeline.objects.for_org(org).filter(pk=OuterRef("pipeline_id"))
    states.move_to_pending(
        org_id=org.pk,
        run_ids=ids,
        before=RETRYABLE,
        trigger=Trigger.RETRY,
        max_attempts=Subquery(pipeline.values("max_attempts")[:1]),
        timeout_seconds=Subquery(pipeline.values("timeout_seconds")[:1]),
        **services.VALUES_AT_RETRY,
    )
    streams = RunStream.objects.for_org(org).filter(run__in=ids)
    streams.exclude(status=Status.SUCCEEDED).update(status=Status.PENDING, **states.NO_FAILURE)
    _finish(org, by, "run.retry", runs)


def _retry_each(org: Org, by: Principal, runs: Sequence[Run], outcome: Outcome) -> None:
    for run in runs:
        try:
            with transaction.atomic():
                services.retry(org=org, by=by, run_id=run.pk)
        except Conflict as error:
            _leave_out(outcome, {run.pipeline_id: error})


def _finish(org: Org, by: Principal, action: str, runs: Sequence[Run]) -> None:
    """Announce the runs, wake workers, and record an audit event for each run."""
    if not runs:
        return
    queue.wake_workers(len(runs))
    is_start = action == "run.start"
    events = [
        audit.NewEvent(
            action=action,
            object_kind="run",
            object_id=run.pk,
            object_label=run.pipeline.name if is_start else "",
            changes={"pipeline_id": [None, str(run.pipeline_id)]} if is_start else {},
        )
        for run in runs
    ]
    audit.record_many(org=org, by=by, events=events)
    states.announce_pending(org_id=org.pk, run_ids=[run.pk for run in runs])


def _in_progress(org: Org, pipelines: Collection[Pipeline]) -> dict[UUID, Any]:
    """Return RunInProgress for each of these pipelines that has a live run."""
    live = Run.objects.for_org(org).filter(pipeline__in=[p.pk for p in pipelines], status__in=LIVE)
    return {pipeline: RunInProgress(run) for pipeline, run in live.values_list("pipeline_id", "id")}


def _leave_out(outcome: Outcome, failures: Mapping[UUID, Exception]) -> None:
    outcome.failures.update(failures)
    outcome.done = [pipeline for pipeline in outcome.done if pipeline.pk not in failures]
