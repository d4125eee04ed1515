"""Stop a run: at a checkpoint if the child reacts, by force if it does not, within seconds in both cases."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from apps.engine.contract import Event, Failed, Progress, Started, StopReason, Succeeded
from apps.engine.failures import FailureClass
from tests.engine.conftest import Rehearsal
from tests.engine.ledger import rows_of

Rehearse = Callable[..., Rehearsal]
BOUND = 30.0  # seconds; ten are promised, and the machine may be busy


class AfterProgress:
    """Asks to stop once rows are staged."""

    def __init__(self, reason: StopReason, *, rows: int = 1) -> None:
        self.reason, self.rows, self.written = reason, rows, 0

    def hear(self, event: Event) -> None:
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
def test_a_stopped_run_ends_for_its_reason_and_continues_where_it_was(
    rehearse: Rehearse, reason: StopReason, failure_class: FailureClass, retryable: bool
) -> None:
    slowly = {
        "answer": "slow",
        "while_exists": "trouble",
    }  # it cannot end before it receives the stop
    run = rehearse({"rows": 20_000, "page_size": 50, **slowly})
    stop = AfterProgress(reason)
    outcome = run.attempt(stop=stop, on_event=stop.hear)
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.retryable) == (failure_class, retryable)
    assert rows_of(run.folder) == []
    run.trouble.unlink()
    assert isinstance(run.attempt(), Succeeded)
    assert any("Continuing at page" in line.message for line in run.log)
    assert rows_of(run.folder) == list(range(1, 20_001))


def test_cancelling_a_hung_source_keeps_what_was_read(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 1000, "answer": "hang", "after": 400, "while_exists": "trouble"})
    stop = AfterProgress("cancelled", rows=400)
    began = time.monotonic()
    outcome = run.attempt(stop=stop, on_event=stop.hear)
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CANCELLED
    assert time.monotonic() - began < BOUND
    run.trouble.unlink()
    assert isinstance(run.attempt(), Succeeded)
    assert any("Continuing at page 4 with 400 rows" in line.message for line in run.log)


def test_a_destination_that_hangs_is_killed_within_the_promise(
    rehearse: Rehearse, at_once: None
) -> None:
    run = rehearse({"rows": 1000}, {"fault": "hang"})
    asked: list[float] = []

    def stop() -> StopReason | None:
        asked.append(time.monotonic())
        return "cancelled" if len(asked) > 3 else None

    outcome = run.attempt(stop=stop)
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CANCELLED
    assert time.monotonic() - asked[-1] < BOUND


def test_a_frozen_child_is_killed_too(rehearse: Rehearse, at_once: None) -> None:
    run = rehearse({"rows": 100_000, "page_size": 10, "delay": 0.02})

    def freeze(event: Event) -> None:
        if isinstance(event, Started):
            os.kill(event.pid, signal.SIGSTOP)

    outcome = run.attempt(stop=lambda: "cancelled" if run.events else None, on_event=freeze)
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CANCELLED
    with pytest.raises(ProcessLookupError):
        os.kill(run.pid, 0)


def test_a_run_that_finished_before_the_stop_has_succeeded(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 10})
    done: list[bool] = []

    def stop() -> StopReason | None:
        return "cancelled" if done else None

    outcome = run.attempt(stop=stop, on_event=lambda e: done.append(True) if run.outputs else None)
    assert isinstance(outcome, Succeeded)


def test_what_a_listener_raises_kills_the_child_and_is_raised(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 100_000, "page_size": 10, "delay": 0.02})

    def refuse(event: Event) -> None:
        raise LookupError("the run's row is gone")

    with pytest.raises(LookupError, match="row is gone"):
        run.attempt(on_event=refuse)
    deadline = time.monotonic() + BOUND
    while _is_alive(run.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _is_alive(run.pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
