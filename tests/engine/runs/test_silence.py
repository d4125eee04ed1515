"""A run without progress is ended as timed out; one that makes progress, however slowly, continues."""

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

Rehearse = Callable[..., Rehearsal]


class Clock:
    """The time for the supervisor's watch: it advances only at events of the run."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("apps.engine.process.silence.time", made)
    return made


def attempt_until_silent(
    run: Rehearsal, clock: Clock, is_hung: Callable[[], bool], **more: Any
) -> None:
    """From the moment the run hangs, the time advances at each check of the run."""
    looks: list[float] = []

    def look() -> None:
        if is_hung():
            clock.now += SILENCE_SECONDS / 2
            looks.append(clock.now)
            assert len(looks) < 20, "it is never ended"

    outcome = run.attempt(stop=look, **more)
    assert looks, "it never hung"
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.retryable) == (FailureClass.TIMEOUT, True)
    assert "no sign of work" in outcome.message


def test_a_hanging_source_times_out_and_the_run_continues_where_it_was(
    rehearse: Rehearse, clock: Clock
) -> None:
    run = rehearse({"rows": 1000, "answer": "hang", "after": 400, "while_exists": "trouble"})
    attempt_until_silent(run, clock, lambda: bool(run.progress) and run.progress[-1].written >= 400)
    run.trouble.unlink()
    assert isinstance(run.attempt(), Succeeded)
    assert any("Continuing at page 4 with 400 rows" in line.message for line in run.log)


def test_a_silent_destination_ends_as_timed_out(
    rehearse: Rehearse, clock: Clock, at_once: None
) -> None:
    run = rehearse({"rows": 1000}, {"fault": "hang"})
    attempt_until_silent(run, clock, (run.folder / "hanging").exists)


def test_a_frozen_child_ends_as_timed_out(rehearse: Rehearse, clock: Clock, at_once: None) -> None:
    run = rehearse({"rows": 100_000, "page_size": 10, "delay": 0.02})
    frozen: list[int] = []

    def freeze(event: Event) -> None:
        if isinstance(event, Progress) and event.written and not frozen:
            frozen.append(run.pid)
            os.kill(run.pid, signal.SIGSTOP)

    attempt_until_silent(run, clock, lambda: bool(frozen), on_event=freeze)


@pytest.mark.parametrize(
    ("source", "destination", "silences"),
    [
        ({"rows": 100}, {"fault": "slow_publish"}, 4 * 3600 / SILENCE_SECONDS),
        ({"rows": 100, "answer": "drip"}, {}, 3),
        ({"rows": 1600, "delay": 0.05}, {}, 3),
    ],
    ids=["it publishes", "its one page drips in", "its pages come slowly"],
)
def test_a_run_at_work_is_left_alone(
    source: dict[str, Any],
    destination: dict[str, Any],
    silences: float,
    rehearse: Rehearse,
    clock: Clock,
    at_once: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After each progress message, almost the allowed time passes."""

    class Slow(SilenceWatch):
        iterations = -1

        def record(self, message: Message) -> None:
            super().record(message)
            if isinstance(message, Working):
                clock.now += 0.9 * SILENCE_SECONDS + message.seconds
            elif isinstance(message, Progress) and message.iterations > self.iterations:
                self.iterations = message.iterations
                clock.now += 0.9 * SILENCE_SECONDS

    monkeypatch.setattr("apps.engine.process.supervisor.SilenceWatch", Slow)
    outcome = rehearse(source, destination).attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert clock.now > silences * SILENCE_SECONDS


def test_counts_repeated_are_no_sign_and_a_long_wait_is_granted_once(clock: Clock) -> None:
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
