"""Stop a run: at a checkpoint if the child reacts, or by killing the child. Both take only seconds."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from itertools import count

import pytest

from apps.engine.contract import Event, Failed, Progress, Started, StopReason, Succeeded
from apps.engine.failures import FailureClass
from tests.engine.conftest import Rehearsal
from tests.engine.ledger import published_ids

MakeRehearsal = Callable[..., Rehearsal]
MAX_STOP_SECONDS = 30.0  # the limit is ten, but the machine of the tests may be busy


class StopAfterProgress:
    """Request a stop for `reason` after the run has staged a number of rows."""

    def __init__(self, reason: StopReason, *, rows: int = 1) -> None:
        self.reason, self.rows, self.written = reason, rows, 0

    def record_event(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.written = event.written

    def __call__(self) -> StopReason | None:
        return self.reason if self.written >= self.rows else None


@pytest.mark.parametrize(
    ("reason", "failure_class", "retryable"),
    [
        ("cancelled", FailureClass.CANCELLED, False),
        ("timeout", FailureClass.TIMEOUT, True),
        ("limit", FailureClass.CONFIGURATION, False),
        ("lease_lost", FailureClass.CRASHED, True),
        ("shutdown", FailureClass.CRASHED, True),
    ],
)
def test_a_stopped_run_fails_with_the_class_of_the_reason_and_the_next_attempt_continues(
    make_rehearsal: MakeRehearsal, reason: StopReason, failure_class: FailureClass, retryable: bool
) -> None:
    slow_answers = {
        "answer": "slow",
        "while_exists": "failure_flag",
    }  # so the stop arrives before the end
    run = make_rehearsal({"rows": 20_000, "page_size": 50, **slow_answers})
    stop = StopAfterProgress(reason)
    outcome = run.attempt(stop=stop, on_event=stop.record_event)
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.retryable) == (failure_class, retryable)
    assert published_ids(run.folder) == []
    run.failure_flag.unlink()
    assert isinstance(run.attempt(), Succeeded)
    assert any("Continuing at page" in line.message for line in run.log)
    assert published_ids(run.folder) == list(range(1, 20_001))


def test_cancelling_a_hanging_source_keeps_the_staged_rows(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal(
        {"rows": 1000, "answer": "hang", "after": 400, "while_exists": "failure_flag"}
    )
    stop = StopAfterProgress("cancelled", rows=400)
    outcome = run.attempt(stop=stop, on_event=stop.record_event)
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CANCELLED
    run.failure_flag.unlink()
    assert isinstance(run.attempt(), Succeeded)
    assert any("Continuing at page 4 with 400 records" in line.message for line in run.log)


def test_a_hanging_destination_is_killed(make_rehearsal: MakeRehearsal, quick_kill: None) -> None:
    run = make_rehearsal({"rows": 1000}, {"fault": "hang"})
    checks = count()

    def stop() -> StopReason | None:
        return "cancelled" if next(checks) > 3 else None

    outcome = run.attempt(stop=stop)
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CANCELLED


def test_a_frozen_child_is_killed_when_the_run_is_cancelled(
    make_rehearsal: MakeRehearsal, quick_kill: None
) -> None:
    run = make_rehearsal({"rows": 100_000, "page_size": 10, "delay": 0.02})

    def freeze(event: Event) -> None:
        if isinstance(event, Started):
            os.kill(event.pid, signal.SIGSTOP)

    outcome = run.attempt(stop=lambda: "cancelled" if run.events else None, on_event=freeze)
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CANCELLED
    with pytest.raises(ProcessLookupError):
        os.kill(run.pid, 0)


def test_a_run_that_finished_before_the_stop_succeeds(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 10})
    has_outputs: list[bool] = []

    def stop() -> StopReason | None:
        return "cancelled" if has_outputs else None

    outcome = run.attempt(
        stop=stop, on_event=lambda event: has_outputs.append(True) if run.outputs else None
    )
    assert isinstance(outcome, Succeeded)


def test_an_exception_of_the_event_callback_kills_the_child_and_is_raised(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 100_000, "page_size": 10, "delay": 0.02})

    def raise_error(event: Event) -> None:
        raise LookupError("the run was deleted")

    with pytest.raises(LookupError, match="run was deleted"):
        run.attempt(on_event=raise_error)
    deadline = time.monotonic() + MAX_STOP_SECONDS
    while _is_alive(run.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _is_alive(run.pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
