"""The program that docs/howto/after-runs.md shows runs `dbt build` once for each run of a pipeline, and for nobody else."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings

from apps.runs.models import Status
from tests.alerts.conftest import end_run
from tests.alerts.follow_ups.test_follow_ups import (
    SECRET,
    add,
    execute_deferred_jobs,
    log_of,
    make_due,
)
from tests.world import World, make_pipeline

HOWTO = settings.BASE_DIR / "docs" / "howto" / "after-runs.md"


@pytest.fixture
def builds(tmp_path: Path) -> Path:
    """The file to which a stand-in for dbt writes each of its commands."""
    dbt = tmp_path / "dbt"
    dbt.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/builds\n')
    dbt.chmod(0o755)
    (tmp_path / "builds").touch()
    return tmp_path / "builds"


@pytest.fixture
def address(builds: Path) -> Iterator[str]:
    """The documented program, in a process of its own."""
    code = re.search(r"```python\n(.*?)```", HOWTO.read_text(), re.DOTALL)
    assert code is not None
    (builds.parent / "receiver.py").write_text(code[1])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {
        **os.environ,
        "PATH": f"{builds.parent}:{os.environ['PATH']}",
        "DROVER_SECRET": SECRET,
        "PORT": str(port),
    }
    process = subprocess.Popen([sys.executable, builds.parent / "receiver.py"], env=variables)
    try:
        wait_until(lambda: not socket.socket().connect_ex(("127.0.0.1", port)))
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait()


def wait_until(is_so: Any) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_dbt_build_runs_once_after_a_run(
    world: World, address: str, builds: Path, settings: Any
) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True
    pipeline = make_pipeline(world)
    add(world, pipeline, kind="webhook", settings={"url": address, "secret": SECRET})
    end_run(world, pipeline, Status.SUCCEEDED)
    with pytest.MonkeyPatch.context() as patch:  # The worker dies before it has stored the answer.
        patch.setattr("apps.alerts.follow_ups.calls._record", lambda *_: None)
        execute_deferred_jobs()
    end_run(world, pipeline, Status.SUCCEEDED)
    make_due(world)
    execute_deferred_jobs()
    assert [call["answer_status"] for call in log_of(world, pipeline)] == [202, 202]
    assert requests.post(address, data=b"{}", timeout=10).status_code == 403
    wait_until(lambda: len(builds.read_text().splitlines()) >= 2)
    assert builds.read_text() == "build\nbuild\n"
