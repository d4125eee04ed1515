"""Leases on runs: taken by one guarded UPDATE, renewed while the run executes, checked by every write.

A worker that was frozen and resumes finds that its lease is no longer on the row, and stops. Times are the
database's, so that clocks of different machines do not matter.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from apps.background.database_errors import first_line
from apps.background.retries import DATABASE_UNAVAILABLE, is_lock_timeout
from apps.orgs.walls.scope import org_scope
from apps.runs import states
from apps.runs.claiming import admission
from apps.runs.exceptions import LeaseLost
from apps.runs.models import Attempt, Run, Status

logger = structlog.get_logger(__name__)

PAUSE = (0.02, 0.1)  # seconds between attempts to take the claim lock


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at one run, owned by us as long as the row has this lease."""

    org_id: UUID
    run_id: UUID
    pipeline_id: UUID
    version: int
    attempt: int
    lease: UUID
    timeout_left: float  # seconds until the run's time limit
    log_lines: int  # records written by earlier attempts
    records_read: int  # records read so far, by earlier attempts


def claim_next(worker: str, *, stop: threading.Event | None = None) -> Claim | None:
    """Claim the next run. Returns None if no run may start now, or `stop` is set.

    Retries while another claim is being made, while another process locks the rows it needs, and while the
    database is not available: the job that called may be the only one for the run.
    """
    stop = stop or threading.Event()
    claiming = _Claiming(worker)
    while not stop.is_set():
        pause = random.uniform(*PAUSE)  # noqa: S311 - spreads load
        try:
            claiming.attempt()
            if claiming.decided:
                return claiming.claim
        except DATABASE_UNAVAILABLE as error:
            logger.warning("run cannot be claimed now", error=first_line(error))
            pause = 1.0
        connection.close()
        stop.wait(pause)
    return None


class _Claiming:
    """One claim, over as many tries as needed, all with the same lease.

    If the connection breaks during a commit, it is unknown whether the run was claimed. The next try that gets
    the claim lock can tell, because the earlier transaction held that lock to its end.
    """

    def __init__(self, worker: str) -> None:
        self.claim: Claim | None = None
        self.decided = False  # whether `claim` is the result
        self._worker = worker
        self._lease = uuid4()
        self._chosen: tuple[UUID, UUID] | None = None

    def attempt(self) -> None:
        """Try once, in one transaction."""
        with transaction.atomic():
            if not admission.try_lock():
                return
            self.claim = self._unconfirmed()
            passed_over = self._choose() if self.claim is None else set()
        self.decided = self.claim is not None or not passed_over

    def _unconfirmed(self) -> Claim | None:
        """Return the run that an earlier try claimed although its commit was not confirmed."""
        if self._chosen is None:
            return None
        org_id, run_id = self._chosen
        with org_scope(org_id):
            rows = Run.objects.for_org(org_id).filter(lease=self._lease, status=Status.RUNNING)
            run = rows.annotate(now=Now()).filter(pk=run_id).first()
        return _claim_of(run, self._lease) if run else None

    def _choose(self) -> set[UUID]:
        """Claim the next run, if there is one. Returns the orgs whose rows another process has locked."""
        passed_over: set[UUID] = set()
        full = admission.full_orgs(self._worker[:120])
        while (chosen := admission.next_run(passed_over | full)) is not None:
            self._chosen = chosen
            try:
                self.claim = self._take(*chosen)
                break
            except OperationalError as error:
                if not is_lock_timeout(error):
                    raise
                passed_over.add(chosen[0])
        return passed_over

    def _take(self, org_id: UUID, run_id: UUID) -> Claim | None:
        with org_scope(org_id):
            admission.wait_briefly()
            claim = take(org_id=org_id, run_id=run_id, worker=self._worker, lease=self._lease)
            admission.check_references()
        return claim


def take(*, org_id: UUID, run_id: UUID, worker: str, lease: UUID | None = None) -> Claim | None:
    """Move a pending run to running with a new lease; None if another process was faster."""
    lease = lease or uuid4()
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
    return _claim_of(run, lease)


def _claim_of(run: Any, lease: UUID) -> Claim:
    """Build the claim; `run` has the database's time as `now`."""
    spent = (run.now - run.started_at).total_seconds()
    return Claim(
        org_id=run.org_id,
        run_id=run.pk,
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
    """A transaction in which the run is ours: its row is locked, and the lease is renewed.

    Yields the row. Raises LeaseLost if another worker, or none, owns the run.
    """
    with org_scope(claim.org_id):
        mine = Run.objects.for_org(claim.org_id).filter(
            pk=claim.run_id, lease=claim.lease, status=Status.RUNNING
        )
        if not mine.update(lease_until=Now() + settings.RUN_LEASE):
            raise LeaseLost
        yield mine


class ActiveLease:
    """The lease of a running attempt, which expires unless it is renewed."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._renewed = time.monotonic()

    @property
    def renewal_is_due(self) -> bool:
        return time.monotonic() - self._renewed > settings.RUN_HEARTBEAT.total_seconds()

    def renew(self) -> None:
        """Renew the lease. Raises LeaseLost."""
        with self.held():
            pass

    @contextmanager
    def held(self) -> Iterator[Any]:
        """Like the function `held`; also counts as a renewal."""
        with held(self._claim) as mine:
            yield mine
        self._renewed = time.monotonic()


def cancel_wanted(claim: Claim) -> bool:
    """Whether cancelling the run was requested. Raises LeaseLost."""
    with org_scope(claim.org_id):
        rows = (
            Run.objects.for_org(claim.org_id)
            .filter(pk=claim.run_id, lease=claim.lease, status=Status.RUNNING)
            .values_list("cancel_requested_at", flat=True)
        )
        found = list(rows)
    if not found:
        raise LeaseLost
    return found[0] is not None
