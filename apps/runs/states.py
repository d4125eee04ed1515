"""The states of a run and the moves between them. Every change of state goes through `move`.

pending -> running -> succeeded | failed | cancelled
running -> pending       retried after a failure, or released by a stopping worker
pending -> cancelled     before it started
failed, cancelled -> pending    retried manually: a new attempt of the same run
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.live import events
from apps.pipelines.models import Pipeline
from apps.runs import snapshots
from apps.runs.exceptions import MoveNotAllowed
from apps.runs.following import feed as followed
from apps.runs.models import ENDED, Run, Status

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
    """The owner of a run, and until when, unless renewed. Only a running run has one."""

    lease: UUID | None
    until: Any  # a time, or an expression of the database's clock
    worker: str


NOBODY = Owner(None, None, "")
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
    owner: Owner = NOBODY,
    **changes: Any,
) -> bool:
    """Move the run if it is still in state `before`, and under `lease` if that is passed; False otherwise.

    Announces the new state and copies it to the pipeline, in the caller's transaction. Raises MoveNotAllowed
    for a move that is not in the table.
    """
    if (before, after) not in MOVES:
        raise MoveNotAllowed(f"{before} -> {after}")
    rows = Run.objects.for_org(org_id).filter(pk=run_id, status=before)
    if lease is not None:
        rows = rows.filter(lease=lease)
    changes |= {"lease": owner.lease, "lease_until": owner.until, "worker": owner.worker}
    if not rows.update(status=after, **changes):
        return False
    announce(org_id=org_id, run_id=run_id)
    return True


def announce(*, org_id: UUID, run_id: UUID) -> None:
    """Publish the run's current state to all clients that follow it."""
    snapshot = snapshots.run(org_id=org_id, run_id=run_id)
    snapshot["event_sequence"] += (
        1  # The number of its own event: the caller's UPDATE locks the row.
    )
    _repeat_on_pipeline(org_id, snapshot)
    news = [events.NewEvent("run", snapshot)]
    if snapshot["status"] in ENDED:
        news.append(events.NewEvent("end", {"status": snapshot["status"]}))
    events.publish(followed.RUN, org_id=org_id, key=run_id, new_events=news)


def _repeat_on_pipeline(org_id: UUID, snapshot: snapshots.RunShown) -> None:
    ended = snapshot["status"] in ENDED
    Pipeline.objects.for_org(org_id).filter(pk=snapshot["pipeline"]["id"]).update(
        last_run_id=snapshot["id"],
        last_run_status=snapshot["status"],
        last_run_finished_at=snapshot["finished_at"],
        last_run_records=snapshot["progress"]["written"] if ended else None,
    )
