"""A run without progress times out. A run with slow progress continues."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from apps.engine.contract import Event, Failed, Network, Progress, Succeeded, Working
from apps.engine.failures import FailureClass
from apps.engine.process.protocol import Message
from apps.engine.process.silence import SILENCE_SECONDS, SilenceWatch
from tests.engine.conftest import Rehearsal

MakeRehearsal = Callable[..., Rehearsal]


class Clock:
    """Replaces the module `time` in the supervisor's watch. Time passes only when a test sets `now`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake_clock = Clock()
    monkeypatch.setattr("apps.engine.process.silence.time", fake_clock)
    return fake_clock


def attempt_until_timeout(
    run: Rehearsal, clock: Clock, is_hung: Callable[[], bool], **options: Any
) -> None:
    """Attempt the run. After it hangs, advance the time at each check of the supervisor, until the run times out."""
    check_times: list[float] = []

    def advance_if_hung() -> None:
        if is_hung():
            clock.now += SILENCE_SECONDS / 2
            check_times.append(clock.now)
            assert len(check_times) < 20, "the run does not time out"

    outcome = run.attempt(stop=advance_if_hung, **options)
    assert check_times, "the run did not hang"
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.retryable) == (FailureClass.TIMEOUT, True)
    assert "no sign of work" in outcome.message


def test_a_hanging_source_times_out_and_the_next_attempt_continues(
    make_rehearsal: MakeRehearsal, clock: Clock
) -> None:
    run = make_rehearsal(
        {"rows": 1000, "answer": "hang", "after": 400, "while_exists": "failure_flag"}
    )
    attempt_until_timeout(
        run, clock, lambda: bool(run.progress) and run.progress[-1].written >= 400
    )
    run.failure_flag.unlink()
    assert isinstance(run.attempt(), Succeeded)
    assert any("Continuing at page 4 with 400 records" in line.message for line in run.log)


def test_a_hanging_destination_times_out(
    make_rehearsal: MakeRehearsal, clock: Clock, quick_kill: None
) -> None:
    run = make_rehearsal({"rows": 1000}, {"fault": "hang"})
    attempt_until_timeout(run, clock, (run.folder / "hanging").exists)


def test_a_frozen_child_times_out(
    make_rehearsal: MakeRehearsal, clock: Clock, quick_kill: None
) -> None:
    run = make_rehearsal({"rows": 100_000, "page_size": 10, "delay": 0.02})
    frozen_pids: list[int] = []

    def freeze(event: Event) -> None:
        if isinstance(event, Progress) and event.written and not frozen_pids:
            frozen_pids.append(run.pid)
            os.kill(run.pid, signal.SIGSTOP)

    attempt_until_timeout(run, clock, lambda: bool(frozen_pids), on_event=freeze)


@pytest.mark.parametrize(
    ("source", "destination", "min_silent_periods"),
    [
        ({"rows": 100}, {"fault": "slow_publish"}, 4 * 3600 / SILENCE_SECONDS),
        ({"rows": 100, "answer": "drip"}, {}, 3),
        ({"rows": 1600, "delay": 0.05}, {}, 3),
    ],
    ids=["slow publishing", "one slow page", "many slow pages"],
)
def test_a_slow_run_with_progress_does_not_time_out(
    source: dict[str, Any],
    destination: dict[str, Any],
    min_silent_periods: float,
    make_rehearsal: MakeRehearsal,
    clock: Clock,
    quick_kill: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After each message of progress, 90% of the allowed time passes."""

    class SlowWatch(SilenceWatch):
        iterations = -1

        def record(self, message: Message) -> None:
            super().record(message)
            if isinstance(message, Working):
                clock.now += 0.9 * SILENCE_SECONDS + message.seconds
            elif isinstance(message, Progress) and message.iterations > self.iterations:
                self.iterations = message.iterations
                clock.now += 0.9 * SILENCE_SECONDS

    monkeypatch.setattr("apps.engine.process.stream_series.SilenceWatch", SlowWatch)
    outcome = make_rehearsal(source, destination).attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert clock.now > min_silent_periods * SILENCE_SECONDS


def test_repeated_counts_are_not_progress_and_a_longer_wait_is_allowed_once(clock: Clock) -> None:
    watch = SilenceWatch(10)
    for moment in range(0, 14, 2):
        clock.now = float(moment)
        watch.record(Progress(1, 1, 0, 8, 1))
        watch.record(Network([]))
    assert watch.is_expired
    watch.record(Progress(2, 1, 0, 8, 1))
    assert not watch.is_expired
    watch.record(Working("publishing", 100))
    clock.now = 115.0
    watch.record(Progress(2, 1, 0, 8, 1))
    assert not watch.is_expired
    clock.now = 123.0
    assert watch.is_expired
    watch.record(Working())
    clock.now = 134.0
    assert watch.is_expired
