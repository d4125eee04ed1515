"""Start real worker processes, and wait for their effects on runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection

from apps.orgs.principals import SYSTEM
from apps.orgs.walls.scope import org_scope
from apps.runs import services, snapshots
from tests.world import World

ROOT = Path(__file__).resolve().parent.parent.parent
QUICK = {
    "DROVER_RUN_LEASE_SECONDS": "3",
    "DROVER_RUN_HEARTBEAT_SECONDS": "1",
    "DROVER_RUN_RETRY_SECONDS": "1",
}


def start_worker(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """`manage.py worker` with short leases."""
    return subprocess.Popen(
        [sys.executable, ROOT / "manage.py", "worker", *arguments],
        cwd=ROOT,
        env={**os.environ, **QUICK, **environment},
    )


@contextmanager
def worker(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = start_worker(*arguments, **environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def wait_for_workers(processes: int, seconds: float = 40) -> None:
    """Wait until so many worker processes fetch jobs; each has one registration per queue."""
    deadline = time.monotonic() + seconds
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM procrastinate_workers")
            (registered,) = cursor.fetchone()
        connection.close()
        if registered >= 3 * processes:
            return
        assert time.monotonic() < deadline, f"only {registered} registered"
        time.sleep(0.05)


def start(world: World, pipeline: Any) -> UUID:
    """Start a run of the pipeline as a user would."""
    with world.scope():
        run = services.start(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk)
    return run.pk


def shown(world: World, run_id: UUID) -> dict[str, Any]:
    """Return the run as the API shows it."""
    with org_scope(world.org.pk):
        found: dict[str, Any] = {**snapshots.run(org_id=world.org.pk, run_id=run_id)}
    connection.close()
    return found


def wait_for(
    world: World, run_id: UUID, condition: Callable[[dict[str, Any]], bool], seconds: float = 40
) -> dict[str, Any]:
    """Return the run once `condition` is true; fails after `seconds` and shows the run."""
    deadline = time.monotonic() + seconds
    while not condition(run := shown(world, run_id)):
        assert time.monotonic() < deadline, f"still not: {run}"
        time.sleep(0.05)
    return run


def ended(run: dict[str, Any]) -> bool:
    return run["status"] in {"succeeded", "failed", "cancelled"}
