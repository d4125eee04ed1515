"""Start real worker processes and runs, and wait until the workers are ready or runs have ended."""

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
SHORT_LEASES = {
    "DROVER_RUN_LEASE_SECONDS": "3",
    "DROVER_RUN_HEARTBEAT_SECONDS": "1",
    "DROVER_RUN_RETRY_SECONDS": "1",
}


def start_worker(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start `manage.py worker` with short leases."""
    return subprocess.Popen(
        [sys.executable, ROOT / "manage.py", "worker", *arguments],
        cwd=ROOT,
        env={**os.environ, **SHORT_LEASES, **environment},
    )


@contextmanager
def running_worker(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `manage.py worker` until the block ends."""
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


def wait_for_workers(process_count: int, seconds: float = 40) -> None:
    """Wait until this number of worker processes fetches jobs. A process registers for each of three queues."""
    deadline = time.monotonic() + seconds
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM procrastinate_workers")
            (registered_count,) = cursor.fetchone()
        connection.close()
        if registered_count >= 3 * process_count:
            return
        assert time.monotonic() < deadline, f"only {registered_count} registered"
        time.sleep(0.05)


def start_run(world: World, pipeline: Any) -> UUID:
    """Start a run of the pipeline."""
    with world.scope():
        run = services.start(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk)
    return run.pk


def read_run(world: World, run_id: UUID) -> dict[str, Any]:
    """Return the run as the API shows it."""
    with org_scope(world.org.pk):
        run: dict[str, Any] = {**snapshots.run(org_id=world.org.pk, run_id=run_id)}
    connection.close()
    return run


def wait_for_run(
    world: World, run_id: UUID, condition: Callable[[dict[str, Any]], bool], seconds: float = 40
) -> dict[str, Any]:
    """Return the run once `condition` is true. Fail after `seconds` and show the run."""
    deadline = time.monotonic() + seconds
    while not condition(run := read_run(world, run_id)):
        assert time.monotonic() < deadline, f"the condition is still false: {run}"
        time.sleep(0.05)
    return run


def has_ended(run: dict[str, Any]) -> bool:
    return run["status"] in {"succeeded", "failed", "cancelled"}
