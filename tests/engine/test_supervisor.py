"""The fork server and its children: calls, runs, their environment, and how they end."""

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

MakeRehearsal = Callable[..., Rehearsal]


def test_importing_the_engine_loads_neither_polars_nor_bizon() -> None:
    code = (
        "import apps.engine, sys; print([m for m in "
        "('polars', 'bizon', 'pyarrow', 'duckdb', 'sqlalchemy', 'django') if m in sys.modules])"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"


def test_a_call_returns_the_result_of_the_engine(supervisor: EngineSupervisor) -> None:
    payload: JsonObject = {"role": "source", "kind": "dummy", "config": {}, "stream": "creatures"}
    assert supervisor.call("check", payload, 30)["ok"]
    discovery: Any = supervisor.call("discover", payload, 30)
    assert "creatures" in [stream["name"] for stream in discovery["streams"]]
    preview: Any = supervisor.call("preview", payload, 30)
    assert len(preview["records"]) == 5


def test_a_call_raises_the_failure_of_the_child(supervisor: EngineSupervisor) -> None:
    payload: JsonObject = {
        "role": "source",
        "kind": "dummy",
        "config": {"rows": "many"},
        "stream": "x",
    }
    with pytest.raises(ConfigurationError):
        supervisor.call("check", payload, 30)


def test_a_call_of_an_unknown_function_fails(supervisor: EngineSupervisor) -> None:
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
    started_at = time.monotonic()
    with pytest.raises(TimedOut) as raised:
        supervisor.call("preview", payload, 0.5)
    assert raised.value.failure_class is FailureClass.TIMEOUT
    assert time.monotonic() - started_at < 60, "the call was not ended"


def test_many_concurrent_runs_and_calls_succeed(
    make_rehearsal: MakeRehearsal, supervisor: EngineSupervisor
) -> None:
    runs = [make_rehearsal({"rows": 100 * n, "password": f"pass-{n}"}) for n in range(1, 9)]
    payload: JsonObject = {"role": "source", "kind": "dummy", "config": {}, "stream": "creatures"}
    with ThreadPoolExecutor(12) as pool:
        attempts = [pool.submit(run.attempt) for run in runs]
        checks = [pool.submit(supervisor.call, "check", payload, 30) for _ in range(4)]
        outcomes = [attempt.result() for attempt in attempts]
        assert all(check.result()["ok"] for check in checks)
    assert [outcome.written for outcome in outcomes if isinstance(outcome, Succeeded)] == [
        100 * n for n in range(1, 9)
    ]


def test_a_request_larger_than_a_pipe_buffer_arrives(supervisor: EngineSupervisor) -> None:
    payload: JsonObject = {
        "role": "source",
        "kind": "dummy",
        "config": {},
        "stream": "creatures",
        "padding": "x" * 3_000_000,
    }
    assert supervisor.call("check", payload, 30)["ok"]


def test_a_child_inherits_no_environment_and_no_descriptors(
    monkeypatch: pytest.MonkeyPatch, make_rehearsal: MakeRehearsal
) -> None:
    monkeypatch.setenv("DJANGO_SECRET_KEY", "canary-in-the-environment")
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    engine = EngineSupervisor(preload=("tests.engine.rehearsal",))
    run = make_rehearsal({"answer": "report", "password": "canary-in-the-settings"})
    run.engine = engine
    try:
        run.attempt()
    finally:
        engine.close()
        os.close(descriptor)
    report = next(line.message for line in run.log if line.message.startswith("report"))
    assert "canary" not in report
    assert "DJANGO" not in report
    assert "dumpable=0" in report
    assert "session=own" in report
    # These are standard input, output and error, the pipe for events, and connections to the state database.
    assert int(report.rpartition("descriptors=")[2]) <= 6


def test_closing_the_supervisor_ends_all_its_processes(make_rehearsal: MakeRehearsal) -> None:
    engine = EngineSupervisor(preload=("tests.engine.rehearsal",))
    run = make_rehearsal({"rows": 100_000, "page_size": 10, "delay": 0.01})
    run.engine = engine
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(run.attempt)
        wait_until(lambda: bool(run.events))
        server = engine.server_pid
        engine.close()
        attempt.result(60)
    assert server is not None
    wait_until(lambda: not is_alive(run.pid) and not is_alive(server))


def test_children_end_when_the_supervisors_process_is_killed(
    tmp_path: Path, make_rehearsal: MakeRehearsal
) -> None:
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
    supervisor_process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert supervisor_process.stdout is not None
    server = int(supervisor_process.stdout.readline())
    wait_until(lambda: bool(child_pids(server)))
    child = child_pids(server)[0]
    supervisor_process.kill()
    supervisor_process.wait()
    supervisor_process.stdout.close()
    wait_until(lambda: not is_alive(server) and not is_alive(child))


def test_the_fork_server_starts_at_the_first_call_and_ends_when_idle() -> None:
    engine = EngineSupervisor(idle_timeout=2)
    assert engine.server_pid is None
    payload: JsonObject = {"role": "source", "kind": "dummy", "config": {}, "stream": "creatures"}
    assert engine.call("check", payload, 30)["ok"]
    first_pid = engine.server_pid
    assert first_pid is not None
    wait_until(lambda: engine.server_pid is None)
    wait_until(lambda: not is_alive(first_pid))
    assert engine.call("check", payload, 30)["ok"]
    assert engine.server_pid not in {None, first_pid}
    engine.close()


def test_a_fork_server_that_cannot_start_raises_an_error_with_evidence() -> None:
    engine = EngineSupervisor(preload=("no.such.module",))
    with pytest.raises(EngineError) as raised:
        engine.start(wait=30)
    assert any("no" in line for line in raised.value.evidence)
    engine.close()


def test_a_closed_supervisor_cannot_be_started() -> None:
    engine = EngineSupervisor()
    engine.close()
    with pytest.raises(EngineError):
        engine.start()


def test_sigint_does_not_end_a_run(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 300, "page_size": 10, "delay": 0.01})
    was_interrupted = threading.Event()

    def interrupt(event: object) -> None:
        if run.events and not was_interrupted.is_set():
            os.kill(run.pid, signal.SIGINT)
            was_interrupted.set()

    assert isinstance(run.attempt(on_event=interrupt), Succeeded)
    assert was_interrupted.is_set()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Return whether the process runs. A zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def child_pids(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
