"""Leases on runs. A worker takes a lease by one guarded UPDATE and renews it; every write checks the lease.

A worker that was frozen and resumes finds that its lease is no longer on the row, and stops. All times are those of
the database, so the clocks of the workers' machines do not matter.
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

LOCK_RETRY_SECONDS = (0.02, 0.1)  # seconds between attempts to take the claim lock


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at one run. This worker owns the run as long as the row has this lease."""

    org_id: UUID
    run_id: UUID
    pipeline_id: UUID
    version: int
    attempt: int
    lease: UUID
    timeout_left: float  # seconds until the run's time limit
    log_lines: int  # log lines written by earlier attempts
    records_read: int  # records read by earlier attempts


def claim_next(worker: str, *, stop: threading.Event | None = None) -> Claim | None:
    """Claim the next run. Returns None if no run may start now, or `stop` is set.

    Retries while another worker claims, while another process locks the needed rows, and while the database is not
    available. This function must not leave the run to another job, because there may be no other job.
    """
    stop = stop or threading.Event()
    claimer = _Claimer(worker)
    while not stop.is_set():
        pause = random.uniform(*LOCK_RETRY_SECONDS)  # noqa: S311 - spreads load
        try:
            claimer.try_once()
            if claimer.is_decided:
                return claimer.claim
        except DATABASE_UNAVAILABLE as error:
            logger.warning("run cannot be claimed now", error=first_line(error))
            pause = 1.0
        connection.close()
        stop.wait(pause)
    return None


class _Claimer:
    """Tries to claim one run. All tries use the same lease.

    If the connection breaks during a commit, it is unknown whether the run was claimed. The next try that gets the
    claim lock can find out: the earlier transaction held that lock, so it has ended.
    """

    def __init__(self, worker: str) -> None:
        self.claim: Claim | None = None
        self.is_decided = False  # whether `claim` is the result
        self._worker = worker
        self._lease = uuid4()
        self._chosen_run: tuple[UUID, UUID] | None = None  # (org id, run id)

    def try_once(self) -> None:
        """Try once, in one transaction."""
        with transaction.atomic():
            if not admission.try_lock():
                return
            self.claim = self._find_unconfirmed_claim()
            skipped_orgs = self._claim_next_run() if self.claim is None else set()
        self.is_decided = self.claim is not None or not skipped_orgs

    def _find_unconfirmed_claim(self) -> Claim | None:
        """Return the claim of an earlier try whose commit succeeded without a confirmation."""
        if self._chosen_run is None:
            return None
        org_id, run_id = self._chosen_run
        with org_scope(org_id):
            rows = Run.objects.for_org(org_id).filter(lease=self._lease, status=Status.RUNNING)
            run = rows.annotate(now=Now()).filter(pk=run_id).first()
        return _build_claim(run, self._lease) if run else None

    def _claim_next_run(self) -> set[UUID]:
        """Claim the next run, if there is one. Returns the orgs whose rows another process has locked."""
        skipped_orgs: set[UUID] = set()
        orgs_at_limit = admission.orgs_at_worker_limit(self._worker[:120])
        while (chosen_run := admission.next_run(skipped_orgs | orgs_at_limit)) is not None:
            self._chosen_run = chosen_run
            try:
                self.claim = self._claim_chosen_run(*chosen_run)
                break
            except OperationalError as error:
                if not is_lock_timeout(error):
                    raise
                skipped_orgs.add(chosen_run[0])
        return skipped_orgs

    def _claim_chosen_run(self, org_id: UUID, run_id: UUID) -> Claim | None:
        with org_scope(org_id):
            admission.shorten_lock_timeout()
            claim = claim_run(org_id=org_id, run_id=run_id, worker=self._worker, lease=self._lease)
            admission.check_references()
        return claim


def claim_run(
    *, org_id: UUID, run_id: UUID, worker: str, lease: UUID | None = None
) -> Claim | None:
    """Move a pending run to running with a new lease. Returns None if the run is no longer pending."""
    lease = lease or uuid4()
    moved = states.move(
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
    if not moved:
        return None
    run = Run.objects.for_org(org_id).annotate(now=Now()).get(pk=run_id)
    Attempt.unscoped.create(org_id=org_id, run_id=run_id, number=run.attempt, worker=worker)
    return _build_claim(run, lease)


def _build_claim(run: Any, lease: UUID) -> Claim:
    """Build the claim. `run` is annotated with the database's time as `now`."""
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
    """Open a transaction that locks the run's row and renews the lease.

    Yields a QuerySet of the one row. Raises LeaseLost if this worker no longer owns the run.
    """
    with org_scope(claim.org_id):
        owned_run = Run.objects.for_org(claim.org_id).filter(
            pk=claim.run_id, lease=claim.lease, status=Status.RUNNING
        )
        if not owned_run.update(lease_until=Now() + settings.RUN_LEASE):
            raise LeaseLost
        yield owned_run


class ActiveLease:
    """The lease of a running attempt, which expires unless it is renewed."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._renewed_at = time.monotonic()

    @property
    def renewal_is_due(self) -> bool:
        return time.monotonic() - self._renewed_at > settings.RUN_HEARTBEAT.total_seconds()

    def renew(self) -> None:
        """Renew the lease. Raises LeaseLost."""
        with self.held():
            pass

    @contextmanager
    def held(self) -> Iterator[Any]:
        """Open the transaction of the function `held`, and note the time of the renewal."""
        with held(self._claim) as owned_run:
            yield owned_run
        self._renewed_at = time.monotonic()


def is_cancel_requested(claim: Claim) -> bool:
    """Whether a cancellation of the run was requested. Raises LeaseLost."""
    with org_scope(claim.org_id):
        rows = (
            Run.objects.for_org(claim.org_id)
            .filter(pk=claim.run_id, lease=claim.lease, status=Status.RUNNING)
            .values_list("cancel_requested_at", flat=True)
        )
        request_times = list(rows)
    if not request_times:
        raise LeaseLost
    return request_times[0] is not None
