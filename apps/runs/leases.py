"""The right to work on a run: taken by one guarded UPDATE, renewed while working, checked by every write.

A worker that froze and wakes up finds that its lease is no longer on the row, and stops. Times are
the database's, so that clocks of different machines do not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from apps.orgs.tenancy import org_scope
from apps.runs import admission, states
from apps.runs.exceptions import LeaseLost
from apps.runs.models import Attempt, Run, Status


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at one run, ours as long as the row carries this lease."""

    org_id: UUID
    run_id: UUID
    pipeline_id: UUID
    version: int
    attempt: int
    lease: UUID
    timeout_left: float  # seconds until the run's time limit
    log_lines: int  # written by earlier attempts
    records_read: int  # so far, by earlier attempts


def claim_next(worker: str) -> Claim | None:
    """Take the run whose turn it is; None when nothing may start now."""
    with transaction.atomic():
        admission.lock()
        chosen = admission.next_run()
        if chosen is None:
            return None
        org_id, run_id = chosen
        with org_scope(org_id):
            return take(org_id=org_id, run_id=run_id, worker=worker)


def take(*, org_id: UUID, run_id: UUID, worker: str) -> Claim | None:
    """Move a pending run to running under a new lease; None when somebody was quicker."""
    lease = uuid4()
    taken = states.move(
        org_id=org_id,
        run_id=run_id,
        before=Status.PENDING,
        after=Status.RUNNING,
        attempt=F("attempt") + 1,
        owner=states.Owner(lease, Now() + settings.RUN_LEASE, worker[:120]),
        claimed_at=Now(),
        started_at=Coalesce(F("started_at"), Now()),
        not_before=None,
        rate=None,
        **states.NO_FAILURE,
    )
    if not taken:
        return None
    run = Run.objects.for_org(org_id).annotate(now=Now()).get(pk=run_id)
    Attempt.unscoped.create(org_id=org_id, run_id=run_id, number=run.attempt, worker=worker)
    spent = (run.now - run.started_at).total_seconds()
    return Claim(
        org_id=org_id,
        run_id=run_id,
        pipeline_id=run.pipeline_id,
        version=run.version,
        attempt=run.attempt,
        lease=lease,
        timeout_left=run.timeout_seconds - spent,
        log_lines=run.log_lines,
        records_read=run.records_read,
    )


@contextmanager
def held(claim: Claim) -> Iterator[Any]:
    """A transaction in which the run is ours: its row is locked, and the lease begins anew.

    Yields the row. Raises LeaseLost when the run is somebody else's, or nobody's.
    """
    with org_scope(claim.org_id):
        mine = Run.objects.for_org(claim.org_id).filter(
            pk=claim.run_id, lease=claim.lease, status=Status.RUNNING
        )
        if not mine.update(lease_until=Now() + settings.RUN_LEASE):
            raise LeaseLost
        yield mine


def cancel_wanted(claim: Claim) -> bool:
    """Whether somebody asked to cancel the run. Raises LeaseLost."""
    with org_scope(claim.org_id):
        rows: Sequence[Any] = (
            Run.objects.for_org(claim.org_id)
            .filter(pk=claim.run_id, lease=claim.lease, status=Status.RUNNING)
            .values_list("cancel_requested_at", flat=True)
        )
        found = list(rows)
    if not found:
        raise LeaseLost
    return found[0] is not None
