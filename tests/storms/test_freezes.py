"""Freeze workers and children for longer than their lease. Only the result of the next attempt is published."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from uuid import UUID

import pytest

from tests.runs.claiming.freezer import wait_until_frozen
from tests.runs.processes import read_run
from tests.storms.stage import Stage, start_storm_worker

pytestmark = pytest.mark.long
# A child that publishes, or opens its destination, may be silent for hours. So the frozen child is one that reads.
PROCESS_CHOOSERS: dict[str, Callable[[Stage], int]] = {
    "worker": Stage.choose_worker,
    "child": Stage.choose_reading_child,
}


@pytest.mark.parametrize("victim", PROCESS_CHOOSERS)
def test_runs_succeed_although_a_process_is_frozen_until_the_next_attempt(
    stage: Stage, rounds: range, victim: str
) -> None:
    stage.start_process = lambda: start_storm_worker(DROVER_RUN_SILENCE_SECONDS="10")
    for _ in rounds:
        frozen_pids: list[int] = []
        stage.api.call_at_request(
            stage.random_request_number(runs=4), partial(freeze_process, stage, victim, frozen_pids)
        )
        runs = [
            stage.start_run(stage.create_pipeline(kind))
            for kind in ("rest", "rest", "rest", "custom")
        ]
        stage.wait_until(partial(has_another_attempt, stage, runs), "another attempt")
        with suppress(ProcessLookupError):  # the worker kills a child without progress
            os.kill(frozen_pids[0], signal.SIGCONT)
        assert {run["status"] for run in stage.wait_and_check_runs()} == {"succeeded"}


def freeze_process(stage: Stage, victim: str, frozen_pids: list[int]) -> None:
    pid = PROCESS_CHOOSERS[victim](stage)
    os.kill(pid, signal.SIGSTOP)
    wait_until_frozen(pid)
    frozen_pids.append(pid)


def has_another_attempt(stage: Stage, runs: list[UUID]) -> bool:
    return any(read_run(stage.world, run)["attempt"] > 1 for run in runs)
