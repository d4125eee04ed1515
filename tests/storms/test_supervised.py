"""Kill the supervisor, and the web process that it supervises, during runs and requests."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from apps.orgs.roles import Role
from apps.runs.models import Run
from local import web
from tests.runs.processes import ROOT, SHORT_LEASES
from tests.storms.stage import STORM_TIMEOUT, WORKER_SETTINGS, Stage
from tests.web_server import find_free_port
from tests.world import token_for

pytestmark = pytest.mark.long
SUPERVISOR_SCRIPT = """
import json, os, sys
from pathlib import Path
from local.supervision import children
from local.supervision.supervisor import Stopped, Supervisor

children.LONGEST_PAUSE = 2.0
folder, commands, settings = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
try:
    with Supervisor() as supervisor:
        for name, command in commands.items():
            env = {**os.environ, **settings}
            supervisor.add(children.Child(name=name, command=command, env=env, log=folder / f"{name}.log"))
        supervisor.keep_running()
except Stopped:
    pass
"""


def start_supervisor(stage: Stage, port: int) -> subprocess.Popen[bytes]:
    """Start a supervisor with a web process and a worker, as `make up` does."""
    commands = {
        "web": web.command(port=port),
        "worker": (sys.executable, "manage.py", "worker"),
    }
    settings = SHORT_LEASES | WORKER_SETTINGS
    arguments = [str(stage.home), json.dumps(commands), json.dumps(settings)]
    return subprocess.Popen([sys.executable, "-c", SUPERVISOR_SCRIPT, *arguments], cwd=ROOT)


@pytest.fixture
def web_port(stage: Stage) -> int:
    """Make the stage start a supervisor as its only process. Return the port of the supervised web process."""
    port = find_free_port()
    stage.worker_count = 1
    stage.start_process = partial(start_supervisor, stage, port)
    return port


def test_runs_succeed_although_the_supervisor_is_killed(
    stage: Stage, rounds: range, web_port: int
) -> None:
    for _ in rounds:
        for _ in range(2):
            stage.api.call_at_request(
                stage.random_request_number(runs=3), partial(kill_supervisor, stage)
            )
        for kind in ("rest", "rest", "custom"):
            stage.start_run(stage.create_pipeline(kind))
        assert {run["status"] for run in stage.wait_and_check_runs()} == {"succeeded"}


def kill_supervisor(stage: Stage) -> None:
    stage.kill_process(lambda: stage.workers[0].pid)


def test_a_repeated_request_starts_one_run_although_the_web_process_is_killed(
    stage: Stage, rounds: range, web_port: int
) -> None:
    """A client that repeats a request with the same idempotency key starts only one run."""
    stage.wait_until(lambda: is_web_up(web_port), "the web process")
    kill_count = 0
    for _ in rounds:
        for _ in range(2):
            stage.api.call_at_request(stage.random_request_number(runs=4), partial(kill_web, stage))
        pipelines = [stage.create_pipeline(kind) for kind in ("rest", "rest", "rest", "custom")]
        for pipeline in pipelines:
            kill_count += start_run_while_web_is_killed(stage, web_port, pipeline)
        for pipeline in pipelines:
            (run,) = read_run_ids(stage, pipeline)
            stage.add_run(run, pipeline)
        assert {run["status"] for run in stage.wait_and_check_runs()} == {"succeeded"}
    assert kill_count


def kill_web(stage: Stage) -> None:
    """Kill the web process. Wait for it first if it is not up again after the previous kill."""
    stage.kill_process(lambda: wait_for_web_process(stage))


def wait_for_web_process(stage: Stage) -> int:
    """Return the id of the web process. Another thread of the test may kill it at any moment."""
    deadline = time.monotonic() + STORM_TIMEOUT
    while not (processes := stage.find_processes("uvicorn")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return processes[0]


def start_run_while_web_is_killed(stage: Stage, port: int, pipeline: Any) -> bool:
    """Start a run over HTTP. Return whether the web process was killed after the first request."""
    key, path = uuid4().hex, f"/api/v1/pipelines/{pipeline.pk}/run"
    token = token_for(stage.world.users[Role.MEMBER], stage.world.org)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    stage.wait_until(lambda: is_web_up(port), "the web process")
    kills_web = stage.rng.random() < 0.5
    if kills_web:
        send_request_only(port, path, headers)
        kill_web(stage)
    stage.wait_until(lambda: is_run_started(port, path, headers), "the start of the run")
    return kills_web


def send_request_only(port: int, path: str, headers: dict[str, str]) -> None:
    """Send the request without waiting for the response."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 2"]
    lines += ["Content-Type: application/json", *(f"{n}: {v}" for n, v in headers.items())]
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall("\r\n".join([*lines, "", "{}"]).encode())


def is_run_started(port: int, path: str, headers: dict[str, str]) -> bool:
    """Send the request to start a run. Return whether the run was started."""
    try:
        response = httpx.post(
            f"http://127.0.0.1:{port}{path}", json={}, headers=headers, timeout=30
        )
    except httpx.TransportError:
        return False
    assert response.status_code in {201, 503}, response.text
    return response.status_code == 201


def is_web_up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/v1/health/live").status_code == 200
    except httpx.TransportError:
        return False


def read_run_ids(stage: Stage, pipeline: Any) -> list[UUID]:
    with stage.world.scope():
        runs = Run.objects.for_org(stage.world.org).filter(pipeline=pipeline)
        return list(runs.values_list("pk", flat=True))
