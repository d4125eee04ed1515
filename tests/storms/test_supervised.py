"""kill -9 of the supervisor and of the web process below it, during runs and during requests."""

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
from tests.runs.processes import QUICK, ROOT
from tests.storms.stage import PATIENCE, WORKERS, Stage
from tests.web_server import free_port
from tests.world import token_for

pytestmark = pytest.mark.long
SUPERVISE = """
import json, os, sys
from pathlib import Path
from local.supervision import children
from local.supervision.supervisor import Stopped, Supervisor

children.LONGEST_PAUSE = 2.0
folder, commands, more = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
try:
    with Supervisor() as supervisor:
        for name, command in commands.items():
            env = {**os.environ, **more}
            supervisor.add(children.Child(name=name, command=command, env=env, log=folder / f"{name}.log"))
        supervisor.keep_running()
except Stopped:
    pass
"""


def supervise(stage: Stage, port: int) -> subprocess.Popen[bytes]:
    """As with `make up`: a web process and a worker below a supervisor that restarts them."""
    commands = {
        "web": web.command(port=port),
        "worker": (sys.executable, "manage.py", "worker"),
    }
    more = QUICK | WORKERS
    arguments = [str(stage.home), json.dumps(commands), json.dumps(more)]
    return subprocess.Popen([sys.executable, "-c", SUPERVISE, *arguments], cwd=ROOT)


@pytest.fixture
def port(stage: Stage) -> int:
    """The URL of the supervised web process."""
    found = free_port()
    stage.wanted = 1
    stage.launch = partial(supervise, stage, found)
    return found


def test_the_supervisor_is_killed(stage: Stage, rounds: range, port: int) -> None:
    for _ in rounds:
        for _ in range(2):
            stage.api.at(stage.moment(runs=3), partial(kill_supervisor, stage))
        for kind in ("rest", "rest", "custom"):
            stage.start(stage.pipeline(kind))
        assert {run["status"] for run in stage.settle()} == {"succeeded"}


def kill_supervisor(stage: Stage) -> None:
    stage.kill(lambda: stage.workers[0].pid)


def test_the_web_process_is_killed_in_mid_request(stage: Stage, rounds: range, port: int) -> None:
    """A client that repeats a request with the same key starts one run, however often the response was lost."""
    stage.wait(lambda: answers(port), "the web process")
    kills = 0
    for _ in rounds:
        for _ in range(2):
            stage.api.at(stage.moment(runs=4), partial(kill_web, stage))
        pipelines = [stage.pipeline(kind) for kind in ("rest", "rest", "rest", "custom")]
        for pipeline in pipelines:
            kills += start_while_killed(stage, port, pipeline)
        for pipeline in pipelines:
            (run,) = runs_of(stage, pipeline)
            stage.expect(run, pipeline)
        assert {run["status"] for run in stage.settle()} == {"succeeded"}
    assert kills


def kill_web(stage: Stage) -> None:
    """It may still be down from the last time: then it is killed once it is up again."""
    deadline = time.monotonic() + PATIENCE
    while not stage.alive("uvicorn"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stage.kill(lambda: stage.alive("uvicorn")[0])


def start_while_killed(stage: Stage, port: int, pipeline: Any) -> bool:
    """Start it over HTTP. Returns whether the web process was killed after the request."""
    key, path = uuid4().hex, f"/api/v1/pipelines/{pipeline.pk}/run"
    token = token_for(stage.world.users[Role.MEMBER], stage.world.org)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    stage.wait(lambda: answers(port), "the web process")
    hits = stage.chance.random() < 0.5
    if hits:
        ask_and_go(port, path, headers)
        kill_web(stage)
    stage.wait(lambda: accepted(port, path, headers), "the start of the run")
    return hits


def ask_and_go(port: int, path: str, headers: dict[str, str]) -> None:
    """Send the request without waiting for the response."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 2"]
    lines += ["Content-Type: application/json", *(f"{n}: {v}" for n, v in headers.items())]
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall("\r\n".join([*lines, "", "{}"]).encode())


def accepted(port: int, path: str, headers: dict[str, str]) -> bool:
    try:
        answer = httpx.post(f"http://127.0.0.1:{port}{path}", json={}, headers=headers, timeout=30)
    except httpx.TransportError:
        return False
    assert answer.status_code in {201, 503}, answer.text
    return answer.status_code == 201


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/v1/health/live").status_code == 200
    except httpx.TransportError:
        return False


def runs_of(stage: Stage, pipeline: Any) -> list[UUID]:
    with stage.world.scope():
        runs = Run.objects.for_org(stage.world.org).filter(pipeline=pipeline)
        return list(runs.values_list("pk", flat=True))
