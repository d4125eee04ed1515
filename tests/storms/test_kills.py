"""kill -9 of any process that moves records, during runs: every run ends, every row arrives once, no leftovers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.storms.stage import PATIENCE, Stage

pytestmark = pytest.mark.long


FAULTS = 2  # per round: a third death fails a run
Fault = Callable[[Stage], None]
PROCESSES: dict[str, Fault] = {
    "child": lambda stage: stage.kill(stage.a_child),
    "worker": lambda stage: stage.kill(stage.a_worker),
    "fork server": lambda stage: stage.kill(stage.a_fork_server),
}
SERVERS: dict[str, Fault] = {
    "postmaster": lambda stage: postmaster(stage),
    "a backend": lambda stage: backends(stage, 1),
    "all backends": lambda stage: backends(stage, 100),
}


def postmaster(stage: Stage) -> None:
    stage.admin().close()  # it exists
    stage.server.kill()


def backends(stage: Stage, most: int) -> None:
    """kill -9 of some server processes of Drover's sessions: the server ends all the others too, and recovers.

    Repeated until the server's log confirms it: a connection may have ended just before, or the server may be
    down already.
    """
    before, deadline = stage.server.recoveries, time.monotonic() + PATIENCE
    while stage.server.recoveries == before:
        assert time.monotonic() < deadline, "no killed connection made the server recover"
        kill_some(stage, most)
        time.sleep(0.2)


def kill_some(stage: Stage, most: int) -> None:
    query = "SELECT pid FROM pg_stat_activity WHERE datname = 'drover' AND pid <> pg_backend_pid()"
    with stage.admin() as admin:
        found = sorted(pid for (pid,) in admin.execute(query))
    for pid in stage.chance.sample(found, min(most, len(found))):
        with suppress(ProcessLookupError):  # the server was faster
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("victim", PROCESSES)
def test_a_process_of_the_product_is_killed(stage: Stage, rounds: range, victim: str) -> None:
    for _ in rounds:
        ends = a_round(stage, PROCESSES[victim])
        assert sum(run["attempt"] for run in ends) > len(ends), "no attempt met a fault"


@pytest.mark.parametrize("victim", SERVERS)
def test_postgresql_is_killed(stage: Stage, rounds: range, victim: str) -> None:
    for _ in rounds:
        before = stage.server.recoveries
        a_round(stage, SERVERS[victim])
        assert stage.server.recoveries >= before + FAULTS


def a_round(stage: Stage, fault: Fault) -> list[dict[str, Any]]:
    for _ in range(FAULTS):
        stage.api.at(stage.moment(runs=4), lambda: fault(stage))
    for kind in ("rest", "rest", "rest", "custom"):
        stage.start(stage.pipeline(kind))
    ends = stage.settle()
    assert {run["status"] for run in ends} == {"succeeded"}
    return ends
