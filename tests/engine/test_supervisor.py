"""The fork server and its children: their cost, their environment, and that they leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from apps.engine.contract import Succeeded
from apps.engine.failures import ConfigurationError, EngineError, FailureClass, TimedOut
from apps.engine.process.forks import ROOT
from apps.engine.process.supervisor import EngineSupervisor
from apps.json import JsonObject
from tests.engine.conftest import Rehearsal

Rehearse = Callable[..., Rehearsal]


def test_importing_the_engine_loads_neither_polars_nor_bizon() -> None:
    listing = (
        "import apps.engine, sys; print([m for m in "
        "('polars', 'bizon', 'pyarrow', 'duckdb', 'sqlalchemy', 'django') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_call_answers_what_the_engine_answers(supervisor: EngineSupervisor) -> None:
    payload: JsonObject = {"role": "source", "kind": "dummy", "config": {}, "stream": "creatures"}
    assert supervisor.call("check", payload, 30)["ok"]
    found: Any = supervisor.call("discover", payload, 30)
    assert "creatures" in [stream["name"] for stream in found["streams"]]
    previewed: Any = supervisor.call("preview", payload, 30)
    assert len(previewed["records"]) == 5


def test_a_call_raises_the_failure_it_ended_with(supervisor: EngineSupervisor) -> None:
    payload: JsonObject = {
        "role": "source",
        "kind": "dummy",
        "config": {"rows": "many"},
        "stream": "x",
    }
    with pytest.raises(ConfigurationError):
        supervisor.call("check", payload, 30)


def test_only_the_named_calls_exist(supervisor: EngineSupervisor) -> None:
    with pytest.raises(EngineError):
        supervisor.call("_source", {"role": "source", "kind": "dummy", "config": {}}, 30)


def test_a_call_that_takes_too_long_is_killed(supervisor: EngineSupervisor) -> None:
    config = {"hang_after": 0}
    payload: JsonObject = {
        "role": "source",
        "kind": "dummy",
        "config": config,
        "stream": "generated",
    }
    began = time.monotonic()
    with pytest.raises(TimedOut) as raised:
        supervisor.call("preview", payload, 0.5)
    assert raised.value.failure_class is FailureClass.TIMEOUT
    assert time.monotonic() - began < 60, "the source hangs for ever"


def test_many_runs_and_calls_at_once_do_not_disturb_each_other(
    rehearse: Rehearse, supervisor: EngineSupervisor
) -> None:
    runs = [rehearse({"rows": 100 * n, "password": f"pass-{n}"}) for n in range(1, 9)]
    payload: JsonObject = {"role": "source", "kind": "dummy", "config": {}, "stream": "creatures"}
    with ThreadPoolExecutor(12) as pool:
        outcomes = [pool.submit(run.attempt) for run in runs]
        checks = [pool.submit(supervisor.call, "check", payload, 30) for _ in range(4)]
        written = [future.result() for future in outcomes]
        assert all(check.result()["ok"] for check in checks)
    assert [o.written for o in written if isinstance(o, Succeeded)] == [
        100 * n for n in range(1, 9)
    ]


def test_a_request_larger_than_a_pipe_arrives_whole(supervisor: EngineSupervisor) -> None:
    payload: JsonObject = {
        "role": "source",
        "kind": "dummy",
        "config": {},
        "stream": "creatures",
        "padding": "x" * 3_000_000,
    }
    assert supervisor.call("check", payload, 30)["ok"]


def test_a_child_has_no_environment_no_descriptors_and_no_secret_in_its_arguments(
    monkeypatch: pytest.MonkeyPatch, rehearse: Rehearse
) -> None:
    monkeypatch.setenv("DJANGO_SECRET_KEY", "canary-in-the-environment")
    leaked = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(leaked, True)
    engine = EngineSupervisor(preload=("tests.engine.rehearsal",))
    run = rehearse({"answer": "confess", "password": "canary-in-the-settings"})
    run.engine = engine
    try:
        run.attempt()
    finally:
        engine.close()
        os.close(leaked)
    confession = next(line.message for line in run.log if line.message.startswith("confess"))
    assert "canary" not in confession
    assert "DJANGO" not in confession
    assert "dumpable=0" in confession
    assert "session=own" in confession
    # standard input, output and error, the events, and the connection to the state
    assert int(confession.rpartition("descriptors=")[2]) <= 6


def test_closing_the_supervisor_leaves_no_process(rehearse: Rehearse) -> None:
    engine = EngineSupervisor(preload=("tests.engine.rehearsal",))
    run = rehearse({"rows": 100_000, "page_size": 10, "delay": 0.01})
    run.engine = engine
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run.attempt)
        wait_until(lambda: bool(run.events))
        server = engine.server_pid
        engine.close()
        waiting.result(60)
    assert server is not None
    wait_until(lambda: not is_alive(run.pid) and not is_alive(server))


def test_the_children_die_with_a_killed_owner(tmp_path: Path, rehearse: Rehearse) -> None:
    script = (
        "import sys, json, time\n"
        "from apps.engine import EngineSupervisor\n"
        "engine = EngineSupervisor()\n"
        "engine.start(wait=30)\n"
        "print(engine.server_pid, flush=True)\n"
        "payload = {'role': 'source', 'kind': 'dummy', 'stream': 'generated',"
        " 'config': {'hang_after': 0}}\n"
        "engine.call('preview', payload, 60)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    server = int(owner.stdout.readline())
    wait_until(lambda: bool(children_of(server)))
    child = children_of(server)[0]
    owner.kill()
    owner.wait()
    owner.stdout.close()
    wait_until(lambda: not is_alive(server) and not is_alive(child))


def test_nothing_is_started_before_it_is_needed_and_it_ends_when_idle() -> None:
    engine = EngineSupervisor(idle_timeout=2)
    assert engine.server_pid is None
    payload: JsonObject = {"role": "source", "kind": "dummy", "config": {}, "stream": "creatures"}
    assert engine.call("check", payload, 30)["ok"]
    first = engine.server_pid
    assert first is not None
    wait_until(lambda: engine.server_pid is None)
    wait_until(lambda: not is_alive(first))
    assert engine.call("check", payload, 30)["ok"]
    assert engine.server_pid not in {None, first}
    engine.close()


def test_a_fork_server_that_cannot_start_gives_a_reason() -> None:
    engine = EngineSupervisor(preload=("no.such.module",))
    with pytest.raises(EngineError) as raised:
        engine.start(wait=30)
    assert any("no" in line for line in raised.value.evidence)
    engine.close()


def test_a_closed_supervisor_refuses() -> None:
    engine = EngineSupervisor()
    engine.close()
    with pytest.raises(EngineError):
        engine.start()


def test_a_signal_to_the_terminal_does_not_reach_the_runs(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 300, "page_size": 10, "delay": 0.01})
    interrupted = threading.Event()

    def interrupt(event: object) -> None:
        if run.events and not interrupted.is_set():
            os.kill(run.pid, signal.SIGINT)
            interrupted.set()

    assert isinstance(run.attempt(on_event=interrupt), Succeeded)
    assert interrupted.is_set()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Not counting zombies that were not reaped yet."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def children_of(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
