"""A run that shows no sign of work is ended as timed out; one that works, however slowly, is left alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.engine.contract import Event, Failed, Network, Progress, Started, Succeeded, Working
from apps.engine.failures import FailureClass
from apps.engine.silence import Watch
from apps.engine.supervisor import EngineSupervisor
from tests.engine.conftest import Rehearsal
from tests.engine.ledger import SLOW

Rehearse = Callable[..., Rehearsal]
SILENCE = SLOW / 2


@pytest.fixture(scope="module")
def impatient() -> Iterator[EngineSupervisor]:
    engine = EngineSupervisor(preload=("tests.engine.rehearsal",), silence=SILENCE)
    engine.start(wait=30)
    yield engine
    engine.close()


def freeze(event: Event) -> None:
    if isinstance(event, Progress) and event.written:
        os.kill(frozen[0], signal.SIGSTOP)
    if isinstance(event, Started):
        frozen.append(event.pid)


frozen: list[int] = []


def test_a_silent_run_ends_as_timed_out_and_goes_on_where_it_was(
    rehearse: Rehearse, impatient: EngineSupervisor
) -> None:
    source = rehearse({"rows": 1000, "answer": "hang", "after": 400, "while_exists": "trouble"})
    destination = rehearse({"rows": 1000}, {"fault": "hang"})
    child = rehearse({"rows": 100_000, "page_size": 10, "delay": 0.02})
    runs = (source, destination, child)
    for run in runs:
        run.engine = impatient
    with ThreadPoolExecutor(3) as pool:
        waiting = [
            pool.submit(source.attempt),
            pool.submit(destination.attempt),
            pool.submit(child.attempt, on_event=freeze),
        ]
    for ended in waiting:
        outcome = ended.result()
        assert isinstance(outcome, Failed)
        assert (outcome.failure_class, outcome.retryable) == (FailureClass.TIMEOUT, True)
        assert "no sign of work" in outcome.message
    source.trouble.unlink()
    assert isinstance(source.attempt(), Succeeded)
    assert any("Continuing at page 4 with 400 rows" in line.message for line in source.log)


def test_a_run_at_work_is_left_alone(rehearse: Rehearse, impatient: EngineSupervisor) -> None:
    runs = (
        rehearse({"rows": 100}, {"fault": "slow_publish"}),
        rehearse({"rows": 100, "answer": "drip"}),
        rehearse({"rows": 1600, "delay": 0.5}),
    )
    for run in runs:
        run.engine = impatient
    with ThreadPoolExecutor(3) as pool:
        outcomes = [waiting.result() for waiting in [pool.submit(run.attempt) for run in runs]]
    assert [type(outcome) for outcome in outcomes] == [Succeeded] * 3


def test_counts_repeated_are_no_sign_and_a_long_wait_is_granted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("apps.engine.silence.time.monotonic", lambda: now[0])
    watch = Watch(10)
    for moment in range(0, 14, 2):
        now[0] = float(moment)
        watch.hear(Progress(1, 1, 0, 8, 1))
        watch.hear(Network([]))
    assert watch.is_over
    watch.hear(Progress(2, 1, 0, 8, 1))
    assert not watch.is_over
    watch.hear(Working("publishing", 100))
    now[0] = 115.0
    watch.hear(Progress(2, 1, 0, 8, 1))
    assert not watch.is_over
    now[0] = 123.0
    assert watch.is_over
    watch.hear(Working())
    now[0] = 134.0
    assert watch.is_over
