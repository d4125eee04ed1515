"""The state machine with random actions: only moves of the table happen, and the rows stay consistent."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from apps.engine import Failed, FailureClass, Progress, Succeeded
from apps.orgs.principals import SYSTEM
from apps.pipelines.exceptions import RunInProgress
from apps.runs import execute, services, states
from apps.runs.claiming import leases, reconciler
from apps.runs.claiming.leases import Claim
from apps.runs.exceptions import (
    AlreadyEnded,
    LeaseLost,
    MoveNotAllowed,
    NotRetryable,
)
from apps.runs.models import ENDED, LIVE, Attempt, Event, Run, Status
from tests.runs.conftest import make_pipeline
from tests.world import World, make_world

FAILED = Failed(FailureClass.SOURCE, "it broke", ("a line",), retryable=True)
READ = Progress(10, 9, 1, 100, 1)


class Lives(RuleBasedStateMachine):
    """One pipeline, and any actions of users, workers and crashes on its runs."""

    @initialize()
    def begin(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.world = make_world()
        self.pipeline = make_pipeline(self.world)
        self.seen: dict[Any, Status] = {}
        self.claims: list[Claim] = []

    def teardown(self) -> None:
        if hasattr(self, "atomic"):
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    @rule()
    def start(self) -> None:
        with self.world.scope():
            live = Run.objects.for_org(self.world.org).filter(status__in=LIVE).exists()
            try:
                services.start(org=self.world.org, by=SYSTEM, pipeline_id=self.pipeline.pk)
            except RunInProgress:
                assert live
            else:
                assert not live

    @rule()
    def claim(self) -> None:
        taken = leases.claim_next("tests")
        if taken is not None:
            self.claims.append(taken)

    @precondition(lambda self: self.claims)
    @rule()
    def renew(self) -> None:
        self._as_worker(_renew)

    @precondition(lambda self: self.claims)
    @rule()
    def succeed(self) -> None:
        self._conclude(Succeeded(10, 9, 1, 100), None)

    @precondition(lambda self: self.claims)
    @rule()
    def fail(self) -> None:
        self._conclude(FAILED, None)

    @precondition(lambda self: self.claims)
    @rule()
    def give_back(self) -> None:
        self._conclude(FAILED, "shutdown")

    @rule()
    def lose_the_worker(self) -> None:
        with self.world.scope():
            running = Run.objects.for_org(self.world.org).filter(status=Status.RUNNING)
            running.update(lease_until=Now() - timedelta(hours=1))
        reconciler.recover_expired()

    @rule()
    def end_the_wait(self) -> None:
        with self.world.scope():
            Run.objects.for_org(self.world.org).update(not_before=None)

    @rule()
    def cancel(self) -> None:
        self._to_newest(services.cancel, (AlreadyEnded,))

    @rule()
    def retry(self) -> None:
        self._to_newest(services.retry, (NotRetryable, RunInProgress))

    @invariant()
    def only_moves_of_the_table_happened(self) -> None:
        for run in self._runs():
            before = self.seen.get(run.pk)
            now = Status(run.status)
            if before is not None and before != now:
                assert _reachable(before, now), (before, now)
            self.seen[run.pk] = now

    @invariant()
    def rows_are_sound(self) -> None:
        runs = self._runs()
        assert sum(run.status in LIVE for run in runs) <= 1
        for run in runs:
            assert (run.lease is not None) == (run.status == Status.RUNNING)
            assert (run.finished_at is not None) == (run.status in ENDED)
            assert bool(run.failure_class) or run.status != Status.FAILED
            assert run.records_read == run.records_written + run.records_rejected
            with self.world.scope():
                numbers = list(
                    Event.objects.for_org(self.world.org)
                    .filter(run_id=run.pk)
                    .order_by("sequence")
                    .values_list("sequence", flat=True)
                )
                open_attempts = (
                    Attempt.objects.for_org(self.world.org)
                    .filter(run_id=run.pk, finished_at=None)
                    .count()
                )
            assert numbers == list(range(1, run.event_sequence + 1))
            assert open_attempts == (run.status == Status.RUNNING)

    def _conclude(self, outcome: Any, reason: Any) -> None:
        self._as_worker(lambda claim: execute.AttemptResult(claim, outcome, reason, READ).record())

    def _as_worker(self, action: Any) -> None:
        """The newest claim acts; it may find that it lost its lease, but must not change anything then."""
        claim = self.claims[-1]
        before = self._row(claim)
        try:
            with transaction.atomic():
                action(claim)
        except LeaseLost:
            assert self._row(claim) == before
        else:
            assert before["lease"] == claim.lease

    def _row(self, claim: Claim) -> Mapping[str, Any]:
        with self.world.scope():
            row: Mapping[str, Any] = (
                Run.objects.for_org(self.world.org)
                .values("status", "lease", "attempt", "event_sequence")
                .get(pk=claim.run_id)
            )
        return row

    def _to_newest(self, verb: Any, refusal: Any) -> None:
        with self.world.scope():
            run = Run.objects.for_org(self.world.org).order_by("-created_at").first()
            if run is None:
                return
            with suppress(*refusal):
                verb(org=self.world.org, by=SYSTEM, run_id=run.pk)

    def _runs(self) -> list[Run]:
        if not hasattr(self, "world"):
            return []
        with self.world.scope():
            return list(Run.objects.for_org(self.world.org))


def _renew(claim: Claim) -> None:
    with leases.held(claim):
        pass


def _reachable(before: Status, after: Status) -> bool:
    """In one or two moves: a rule may fail a run which is then retried."""
    steps = {before}
    for _ in range(2):
        steps |= {there for here, there in states.MOVES if here in steps}
    return after in steps


@pytest.mark.usefixtures("db")
def test_whatever_happens_only_the_moves_of_the_table_happen() -> None:
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=10,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.generate],  # shrinking a failure would take minutes
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_move_that_is_not_in_the_table_is_a_bug(world: World) -> None:
    with pytest.raises(MoveNotAllowed):
        states.move(
            org_id=world.org.pk,
            run_id=world.org.pk,
            before=Status.SUCCEEDED,
            after=Status.RUNNING,
        )
