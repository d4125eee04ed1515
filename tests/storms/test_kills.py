"""Kill processes during runs. Every run succeeds, publishes every row once, and leaves no processes or folders."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.storms.stage import STORM_TIMEOUT, Stage

pytestmark = pytest.mark.long


FAULTS_PER_ROUND = 2  # not more, because a run fails after three crashed attempts
Fault = Callable[[Stage], None]
FAULTS_OF_DROVER: dict[str, Fault] = {
    "child": lambda stage: stage.kill_process(stage.choose_child),
    "worker": lambda stage: stage.kill_process(stage.choose_worker),
    "fork server": lambda stage: stage.kill_process(stage.choose_fork_server),
}
FAULTS_OF_POSTGRESQL: dict[str, Fault] = {
    "postmaster": lambda stage: kill_postmaster(stage),
    "a backend": lambda stage: kill_backends(stage, 1),
    "all backends": lambda stage: kill_backends(stage, 100),
}


def kill_postmaster(stage: Stage) -> None:
    stage.connect_as_admin().close()  # waits until the server accepts connections
    stage.server.kill()


def kill_backends(stage: Stage, count: int) -> None:
    """Kill server processes of Drover's sessions. The server then ends all its sessions and recovers.

    Repeat until the server's log shows the recovery, because a chosen session may have ended before it was killed.
    """
    before, deadline = stage.server.recovery_count, time.monotonic() + STORM_TIMEOUT
    while stage.server.recovery_count == before:
        assert time.monotonic() < deadline, "the server did not recover"
        kill_random_sessions(stage, count)
        time.sleep(0.2)


def kill_random_sessions(stage: Stage, count: int) -> None:
    query = "SELECT pid FROM pg_stat_activity WHERE datname = 'drover' AND pid <> pg_backend_pid()"
    with stage.connect_as_admin() as admin:
        pids = sorted(pid for (pid,) in admin.execute(query))
    for pid in stage.rng.sample(pids, min(count, len(pids))):
        with suppress(ProcessLookupError):  # the process has just ended
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("victim", FAULTS_OF_DROVER)
def test_runs_succeed_although_processes_of_drover_are_killed(
    stage: Stage, rounds: range, victim: str
) -> None:
    for _ in rounds:
        ended_runs = run_round(stage, FAULTS_OF_DROVER[victim])
        assert sum(run["attempt"] for run in ended_runs) > len(ended_runs), "no attempt was killed"


@pytest.mark.parametrize("victim", FAULTS_OF_POSTGRESQL)
def test_runs_succeed_although_postgresql_is_killed(
    stage: Stage, rounds: range, victim: str
) -> None:
    for _ in rounds:
        before = stage.server.recovery_count
        run_round(stage, FAULTS_OF_POSTGRESQL[victim])
        assert stage.server.recovery_count >= before + FAULTS_PER_ROUND


def run_round(stage: Stage, fault: Fault) -> list[dict[str, Any]]:
    for _ in range(FAULTS_PER_ROUND):
        stage.api.call_at_request(stage.random_request_number(runs=4), lambda: fault(stage))
    for kind in ("rest", "rest", "rest", "custom"):
        stage.start_run(stage.create_pipeline(kind))
    ended_runs = stage.wait_and_check_runs()
    assert {run["status"] for run in ended_runs} == {"succeeded"}
    return ended_runs
