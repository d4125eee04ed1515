"""Random actions on runs cause only the moves that `states.MOVES` allows, and rows stay consistent."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.db.models.functions import Now
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
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
from apps.runs.attempts import chosen_streams
from apps.runs.attempts.rows import AttemptRows
from apps.runs.attempts.stream_tracker import StreamTracker
from apps.runs.claiming import leases, reconciler
from apps.runs.claiming.leases import Claim
from apps.runs.exceptions import (
    AlreadyEnded,
    LeaseLost,
    MoveNotAllowed,
    NotRetryable,
)
from apps.runs.models import ENDED, LIVE, Attempt, Event, Run, RunStream, Status
from tests.runs.conftest import make_pipeline
from tests.world import World, make_world

FAILED = Failed(FailureClass.SOURCE, "it broke", ("a line",), retryable=True)
FAILED_FOR_GOOD = Failed(FailureClass.CONFIGURATION, "it is wrong", (), retryable=False)
SUCCEEDED = Succeeded(10, 9, 1, 100)
NAMES = ("customers", "orders", "items")
PROGRESS = Progress(10, 9, 1, 100, 1)


class RunMachine(RuleBasedStateMachine):
    """Users, workers and crashes act on the runs of one pipeline in any order."""

    @initialize(stops_at_failure=st.booleans())
    def create_pipeline(self, stops_at_failure: bool) -> None:
        self.stops_at_failure = stops_at_failure
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.world = make_world()
        self.pipeline = make_pipeline(self.world)
        self.last_statuses: dict[Any, Status] = {}
        self.claims: list[Claim] = []
        self.published: dict[Any, set[str]] = {}

    def teardown(self) -> None:
        if hasattr(self, "atomic"):
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    @rule()
    def start_run(self) -> None:
        with self.world.scope():
            has_live_run = Run.objects.for_org(self.world.org).filter(status__in=LIVE).exists()
            try:
                services.start(org=self.world.org, by=SYSTEM, pipeline_id=self.pipeline.pk)
            except RunInProgress:
                assert has_live_run
            else:
                assert not has_live_run

    @rule()
    def claim_run(self) -> None:
        claim = leases.claim_next("tests")
        if claim is not None:
            self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule()
    def renew_lease(self) -> None:
        self._act_as_worker(_renew_lease)

    @precondition(lambda self: self.claims)
    @rule()
    def complete_attempt(self) -> None:
        self._end_attempt(SUCCEEDED, None)

    @precondition(lambda self: self.claims)
    @rule()
    def fail_attempt(self) -> None:
        self._end_attempt(FAILED, None)

    @precondition(lambda self: self.claims)
    @rule()
    def release_run(self) -> None:
        self._end_attempt(FAILED, "shutdown")

    @precondition(lambda self: self.claims)
    @rule(
        outcomes=st.tuples(*[st.sampled_from([SUCCEEDED, FAILED, FAILED_FOR_GOOD]) for _ in NAMES]),
        running=st.booleans(),
        ends=st.booleans(),
    )
    def run_streams(self, outcomes: Any, running: bool, ends: bool) -> None:
        """Run the streams one after the other, and leave one running if the worker does not end the attempt."""
        self._act_as_worker(
            lambda claim: self._run_streams(
                claim, dict(zip(NAMES, outcomes, strict=True)), running, ends
            )
        )

    def _run_streams(
        self, claim: Claim, outcomes: Mapping[str, Any], running: bool, ends: bool
    ) -> None:
        with leases.held(claim):  # raises LeaseLost before anything is changed
            rows = chosen_streams.rows_of_run(claim)
        documents: Any = [{"stream": name, "table": name} for name in NAMES]
        rows = rows or chosen_streams.create_rows(claim, documents)
        tracker = StreamTracker(rows, stops_at_failure=self.stops_at_failure)
        for name in tracker.names_to_run:
            if tracker.has_stopped:
                break
            tracker.begin(name)
            if running and not ends:
                break
            tracker.end(name, outcomes[name])
        failed_now = [row for row in tracker.changes().values() if row.status == Status.FAILED]
        assert not self.stops_at_failure or len(failed_now) <= 1
        with leases.held(claim) as owned_run:
            AttemptRows(claim).write_streams(
                owned_run, list(tracker.changes().values()), tracker.counts
            )
        if ends:
            execute.AttemptResult(claim, tracker.outcome(), None, tracker.progress).record()

    @rule()
    def crash_worker(self) -> None:
        with self.world.scope():
            running_runs = Run.objects.for_org(self.world.org).filter(status=Status.RUNNING)
            running_runs.update(lease_until=Now() - timedelta(hours=1))
        reconciler.recover_expired_runs()

    @rule()
    def end_retry_wait(self) -> None:
        with self.world.scope():
            Run.objects.for_org(self.world.org).update(not_before=None)

    @rule()
    def cancel_run(self) -> None:
        self._act_on_newest_run(services.cancel, (AlreadyEnded,))

    @rule()
    def retry_run(self) -> None:
        self._act_on_newest_run(services.retry, (NotRetryable, RunInProgress))

    @invariant()
    def check_moves(self) -> None:
        for run in self._load_runs():
            before = self.last_statuses.get(run.pk)
            now = Status(run.status)
            if before is not None and before != now:
                assert _is_reachable(before, now), (before, now)
            self.last_statuses[run.pk] = now

    @invariant()
    def check_streams(self) -> None:
        """What was published stays published, and a run that has ended has no stream that is waiting or running."""
        for run in self._load_runs():
            with self.world.scope():
                rows = RunStream.objects.for_org(self.world.org).filter(run_id=run.pk)
                statuses = dict(rows.values_list("name", "status"))
            published = {name for name, status in statuses.items() if status == Status.SUCCEEDED}
            assert self.published.get(run.pk, set()) <= published
            self.published[run.pk] = published
            if run.status in ENDED and run.streams_total:
                assert not set(statuses.values()) & set(LIVE)

    @invariant()
    def check_rows(self) -> None:
        runs = self._load_runs()
        assert sum(run.status in LIVE for run in runs) <= 1
        for run in runs:
            assert (run.lease is not None) == (run.status == Status.RUNNING)
            assert (run.finished_at is not None) == (run.status in ENDED)
            assert bool(run.failure_class) or run.status != Status.FAILED
            assert run.records_read == (
                run.records_written + run.records_rejected + run.records_skipped
            )
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

    def _end_attempt(self, outcome: Any, reason: Any) -> None:
        self._act_as_worker(
            lambda claim: execute.AttemptResult(claim, outcome, reason, PROGRESS).record()
        )

    def _act_as_worker(self, action: Any) -> None:
        """Act with the newest claim. If its lease was lost, the action must raise LeaseLost and change nothing."""
        claim = self.claims[-1]
        before = self._read_row(claim)
        try:
            with transaction.atomic():
                action(claim)
        except LeaseLost:
            assert self._read_row(claim) == before
        else:
            assert before["lease"] == claim.lease

    def _read_row(self, claim: Claim) -> Mapping[str, Any]:
        with self.world.scope():
            row: Mapping[str, Any] = (
                Run.objects.for_org(self.world.org)
                .values("status", "lease", "attempt", "event_sequence")
                .get(pk=claim.run_id)
            )
        return row

    def _act_on_newest_run(self, action: Any, expected_errors: Any) -> None:
        with self.world.scope():
            run = Run.objects.for_org(self.world.org).order_by("-created_at").first()
            if run is None:
                return
            with suppress(*expected_errors):
                action(org=self.world.org, by=SYSTEM, run_id=run.pk)

    def _load_runs(self) -> list[Run]:
        if not hasattr(self, "world"):
            return []
        with self.world.scope():
            return list(Run.objects.for_org(self.world.org))


def _renew_lease(claim: Claim) -> None:
    with leases.held(claim):
        pass


def _is_reachable(before: Status, after: Status) -> bool:
    """Return whether one or two moves lead from `before` to `after`. A rule may fail a run, which is then retried."""
    statuses = {before}
    for _ in range(2):
        statuses |= {target for origin, target in states.MOVES if origin in statuses}
    return after in statuses


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("examples", [5, pytest.param(30, marks=pytest.mark.long)])
def test_random_actions_cause_only_allowed_moves(examples: int) -> None:
    run_state_machine_as_test(
        RunMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.generate],  # shrinking a failure would take minutes
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_move_that_is_not_allowed_raises(world: World) -> None:
    with pytest.raises(MoveNotAllowed):
        states.move(
            org_id=world.org.pk,
            run_id=uuid4(),
            before=Status.SUCCEEDED,
            after=Status.RUNNING,
        )


@pytest.mark.parametrize("stops", [True, False])
def test_a_run_that_has_stopped_reads_neither_the_rest_nor_what_is_published_again(
    stops: bool,
) -> None:
    """A worker that dies after a stream has failed leaves such rows to the next attempt."""
    statuses = (Status.SUCCEEDED, Status.FAILED, Status.PENDING)
    rows = [
        RunStream(name=name, status=status) for name, status in zip(NAMES, statuses, strict=True)
    ]
    tracker = StreamTracker(rows, stops_at_failure=stops)
    assert tracker.names_to_run == ([] if stops else ["items"])
    assert tracker.are_partly_published is not stops
