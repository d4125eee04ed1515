"""The states of a run and the moves between them. Every change of state goes through `move`.

pending -> running -> succeeded | failed | cancelled
running -> pending       retried after a failure, or released by a stopping worker
pending -> cancelled     cancelled before it started
failed, cancelled -> pending    retried manually: a new attempt of the same run
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.live import events
from apps.pipelines.models import Pipeline, RunKind, Schedule
from apps.pipelines.schedules import freshness
from apps.runs import endings, snapshots
from apps.runs.exceptions import MoveNotAllowed
from apps.runs.following import feed
from apps.runs.models import ENDED, LIVE, ORDINARY_RUNS, Run, RunStream, Status

MOVES = frozenset(
    {
        (Status.PENDING, Status.RUNNING),
        (Status.PENDING, Status.CANCELLED),
        (Status.RUNNING, Status.SUCCEEDED),
        (Status.RUNNING, Status.FAILED),
        (Status.RUNNING, Status.CANCELLED),
        (Status.RUNNING, Status.PENDING),
        (Status.FAILED, Status.PENDING),
        (Status.CANCELLED, Status.PENDING),
    }
)


@dataclass(frozen=True, slots=True)
class Owner:
    """The worker that owns a running run, and the time at which its lease expires unless it is renewed."""

    lease: UUID | None
    until: Any  # a time, or a database expression such as Now() + RUN_LEASE
    worker: str


NO_OWNER = Owner(None, None, "")
NO_FAILURE: snapshots.FailureColumns = {
    "failure_class": "",
    "failure_message": "",
    "failure_evidence": [],
    "failure_retryable": None,
}


def move(
    *,
    org_id: UUID,
    run_id: UUID,
    before: Status,
    after: Status,
    lease: UUID | None = None,
    owner: Owner = NO_OWNER,
    **changes: Any,
) -> bool:
    """Move the run from state `before` to `after`. Returns False if it is no longer in state `before`.

    If `lease` is passed, the run must also have that lease. In the caller's transaction, the new state is published and
    copied to the pipeline, and the end of a run is reported to other apps (apps.runs.endings). The streams of a run that
    has failed or was cancelled end with it; a cancelled run has no failed streams. Raises MoveNotAllowed for a move that
    is not in MOVES.
    """
    if (before, after) not in MOVES:
        raise MoveNotAllowed(f"{before} -> {after}")
    rows = Run.objects.for_org(org_id).filter(pk=run_id, status=before)
    if lease is not None:
        rows = rows.filter(lease=lease)
    changes |= {"lease": owner.lease, "lease_until": owner.until, "worker": owner.worker}
    if after == Status.CANCELLED:
        changes["streams_failed"] = 0
    if not rows.update(status=after, **changes):
        return False
    if after in {Status.FAILED, Status.CANCELLED}:
        ended = LIVE if after == Status.FAILED else {*LIVE, Status.FAILED}
        streams = RunStream.objects.for_org(org_id).filter(run_id=run_id, status__in=ended)
        streams.update(status=Status.CANCELLED)
    snapshot = announce(org_id=org_id, run_id=run_id)
    if after in ENDED:
        endings.report(org_id, snapshot)
    return True


def move_to_pending(
    *, org_id: UUID, run_ids: Collection[UUID], before: Collection[Status], **changes: Any
) -> None:
    """Move these runs from one of the states `before` to pending. The caller has locked them, and announces them.

    Raises MoveNotAllowed for a move that is not in MOVES.
    """
    if not_allowed := {(state, Status.PENDING) for state in before} - MOVES:
        raise MoveNotAllowed(str(not_allowed))
    rows = Run.objects.for_org(org_id).filter(pk__in=run_ids, status__in=before)
    rows.update(status=Status.PENDING, lease=None, lease_until=None, worker="", **changes)


def announce(*, org_id: UUID, run_id: UUID) -> snapshots.RunWithAttempts:
    """Publish the run's current state to all clients that follow it, and copy the state to the pipeline.

    Returns the published state.
    """
    snapshot = snapshots.run(org_id=org_id, run_id=run_id)
    # The snapshot names the number of this event. No other event can take it: the caller has locked the row.
    snapshot["event_sequence"] += 1
    _copy_to_pipeline(org_id, snapshot)
    new_events = [events.NewEvent("run", snapshot)]
    if snapshot["status"] in ENDED:
        new_events.append(events.NewEvent("end", {"status": snapshot["status"]}))
    events.publish(feed.RUN_SUBJECT, org_id=org_id, key=run_id, new_events=new_events)
    return snapshot


def announce_pending(*, org_id: UUID, run_ids: Sequence[UUID]) -> None:
    """Publish these ordinary runs, which have just become pending, and copy their state to their pipelines.

    It takes a constant number of queries. The caller has locked the rows of the runs.
    """
    found = snapshots.runs_with_attempts(org_id=org_id, run_ids=run_ids)
    by_pipeline = {snapshot["pipeline"]["id"]: snapshot["id"] for snapshot in found}
    pipelines = Pipeline.objects.for_org(org_id).filter(pk__in=by_pipeline)
    # Locked in this order, so that two of these updates cannot deadlock.
    locked = list(pipelines.order_by("pk").select_for_update(no_key=True).only("id"))
    for pipeline in locked:
        pipeline.last_run_id, pipeline.last_run_status = by_pipeline[pipeline.pk], Status.PENDING
        pipeline.last_run_kind = RunKind.ORDINARY
        pipeline.last_run_finished_at = pipeline.last_run_records = None
        pipeline.last_run_seconds = None
    columns = [
        *("last_run_id", "last_run_status", "last_run_kind"),
        *("last_run_finished_at", "last_run_records", "last_run_seconds"),
    ]
    Pipeline.objects.for_org(org_id).bulk_update(locked, columns)
    for snapshot in found:
        snapshot["event_sequence"] += 1
    new_events = {snapshot["id"]: events.NewEvent("run", snapshot) for snapshot in found}
    events.publish_each(feed.RUN_SUBJECT, org_id=org_id, new_events=new_events)


def _copy_to_pipeline(org_id: UUID, snapshot: snapshots.RunSnapshot) -> None:
    """Copy the state of the run to its pipeline. After a run beside the schedule, the run before is the last one again."""
    pipeline_id, status = snapshot["pipeline"]["id"], snapshot["status"]
    has_ended = status in ENDED
    if has_ended and snapshot["kind"] != RunKind.ORDINARY:
        _copy_newest_run(org_id, pipeline_id)
        return
    changes: dict[str, Any] = {}
    if status == Status.FAILED:
        changes["failing_since"] = Coalesce("failing_since", Value(snapshot["finished_at"]))
    Pipeline.objects.for_org(org_id).filter(pk=pipeline_id).update(
        last_run_id=snapshot["id"],
        last_run_status=status,
        last_run_kind=snapshot["kind"],
        last_run_finished_at=snapshot["finished_at"],
        last_run_records=snapshot["progress"]["written"] if has_ended else None,
        last_run_seconds=snapshot["duration_seconds"] if has_ended else None,
        **changes,
    )
    if status == Status.SUCCEEDED:
        _record_success(org_id, snapshot)


def _record_success(org_id: UUID, snapshot: snapshots.RunSnapshot) -> None:
    """Store that the pipeline has new data. Its row is locked, so its schedule cannot change meanwhile."""
    pipeline = Pipeline.objects.for_org(org_id).get(pk=snapshot["pipeline"]["id"])
    schedule = Schedule.objects.for_org(org_id).filter(pipeline=pipeline).first()
    freshness.record_success(
        pipeline,
        schedule,
        at=snapshot["finished_at"] or timezone.now(),
        duration=timedelta(seconds=snapshot["duration_seconds"] or 0),
    )
    pipeline.save(update_fields=freshness.SAVED_FIELDS)


def _copy_newest_run(org_id: UUID, pipeline_id: UUID) -> None:
    """Copy the state of the newest ordinary run of the pipeline."""
    runs = Run.objects.for_org(org_id).filter(ORDINARY_RUNS, pipeline_id=pipeline_id)
    run = runs.order_by("-created_at", "-id").first()
    Pipeline.objects.for_org(org_id).filter(pk=pipeline_id).update(
        last_run_id=run.pk if run else None,
        last_run_status=run.status if run else "",
        last_run_kind=RunKind.ORDINARY,
        last_run_finished_at=run.finished_at if run else None,
        last_run_records=run.records_written if run else None,
        last_run_seconds=snapshots.seconds_between(run.started_at, run.finished_at)
        if run
        else None,
    )
