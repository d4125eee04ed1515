"""Workers and children that freeze for longer than their lease and resume: the new owner's result counts."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from uuid import UUID

import pytest

from tests.runs.claiming.freezer import wait_until_frozen
from tests.runs.processes import shown
from tests.storms.stage import Stage, a_worker

pytestmark = pytest.mark.long
CHOOSE: dict[str, Callable[[Stage], int]] = {"worker": Stage.a_worker, "child": Stage.a_child}


@pytest.mark.parametrize("victim", CHOOSE)
def test_frozen_until_another_attempt_began(stage: Stage, rounds: range, victim: str) -> None:
    stage.launch = lambda: a_worker(DROVER_RUN_SILENCE_SECONDS="10")
    for _ in rounds:
        frozen: list[int] = []
        stage.api.at(stage.moment(runs=4), partial(freeze, stage, victim, frozen))
        runs = [stage.start(stage.pipeline(kind)) for kind in ("rest", "rest", "rest", "custom")]
        stage.wait(partial(another_attempt, stage, runs), "another attempt")
        with suppress(ProcessLookupError):  # a child without progress was killed
            os.kill(frozen[0], signal.SIGCONT)
        assert {run["status"] for run in stage.settle()} == {"succeeded"}


def freeze(stage: Stage, victim: str, frozen: list[int]) -> None:
    pid = CHOOSE[victim](stage)
    os.kill(pid, signal.SIGSTOP)
    wait_until_frozen(pid)
    frozen.append(pid)


def another_attempt(stage: Stage, runs: list[UUID]) -> bool:
    return any(shown(stage.world, run)["attempt"] > 1 for run in runs)
