"""What one worker and one web process can do, and what a run needs, for the sized table of docs/howto/look-after.md."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from bench.figures import Figure, figure_without_target
from bench.load import LoadResult, measure_load
from bench.scratch import ROOT, Installation, run_server
from bench.start import create_runs

RUNS = 300
SECONDS = 5.0
CLIENTS = 4
# The warm-up creates the worker's fork server and fills the caches of the database.
WARM_UP_RUNS = 20
TICKS_PER_SECOND = 100  # USER_HZ of Linux, the unit of /proc/<pid>/stat


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Measure a queue of short runs of one worker, and lists of one web process."""
    rates, worker_times, database_times, sizes = [], [], [], []
    for _ in range(rounds):
        rate, worker_time, database_time, size = _measure_runs(installation)
        rates.append(rate)
        worker_times.append(worker_time)
        database_times.append(database_time)
        sizes.append(size)
    compared = f"a queue of {RUNS} runs of 10 rows, one worker"
    yield figure_without_target("short runs", compared, rates, unit="runs/s")
    yield figure_without_target(
        "processor time of a short run in the worker", compared, worker_times, unit="ms"
    )
    yield figure_without_target(
        "processor time of a short run in the database", compared, database_times, unit="ms"
    )
    yield figure_without_target("a short run in the database", compared, sizes, unit="kB")
    created = create_runs(installation, 200)
    for name, path in (("list of pipelines", "pipelines"), ("overview", "stats/overview")):
        loads = [_measure_load(installation, created["token"], path) for _ in range(rounds)]
        clients = f"{CLIENTS} clients, 200 pipelines, one web process"
        yield figure_without_target(
            name, clients, [load.per_second for load in loads], unit="requests/s"
        )
        yield figure_without_target(
            f"{name}, p95", clients, [load.p95 for load in loads], unit="ms"
        )


def _measure_runs(installation: Installation) -> tuple[float, float, float, float]:
    """Return runs per second, the processor time of a run in the worker and in the database (ms), and its size (kB)."""
    worker = subprocess.Popen(
        [sys.executable, ROOT / "manage.py", "worker"],
        cwd=ROOT,
        env=dict(installation.environment),
    )
    try:
        _run_all(installation, WARM_UP_RUNS)
        with psycopg.connect(installation.owner_url(), autocommit=True) as owner:
            size = _database_size(owner)
        server = int((installation.home / "pg" / "postmaster.pid").read_text().split()[0])
        worker_before, server_before = processor_time(worker.pid), processor_time(server)
        seconds = _run_all(installation, RUNS)
        worker_time = processor_time(worker.pid) - worker_before
        server_time = processor_time(server) - server_before
        with psycopg.connect(installation.owner_url(), autocommit=True) as owner:
            growth = _database_size(owner) - size
    finally:
        worker.terminate()
        worker.wait(30)
    milliseconds = 1000 / RUNS
    return (
        RUNS / seconds,
        worker_time * milliseconds,
        server_time * milliseconds,
        growth / RUNS / 1000,
    )


def _run_all(installation: Installation, count: int) -> float:
    """Create runs, and return the seconds from the first start until the last end. Raises RuntimeError if one fails."""
    ids = create_runs(installation, count, "--runs")["runs"]
    deadline = time.monotonic() + 300
    with psycopg.connect(installation.owner_url(), autocommit=True) as owner:
        while True:
            rows = owner.execute(
                """SELECT status, count(*), extract(epoch FROM max(finished_at) - min(started_at))::float8
                   FROM runs_run WHERE id = ANY(%s::uuid[]) GROUP BY status""",
                [ids],
            ).fetchall()
            if [status for status, _, _ in rows] == ["succeeded"]:
                seconds: float = rows[0][2]
                return seconds
            if time.monotonic() > deadline or any(status == "failed" for status, _, _ in rows):
                raise RuntimeError(f"the runs do not succeed: {rows}")
            time.sleep(0.5)


def _database_size(owner: psycopg.Connection[Any]) -> int:
    row = owner.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None  # noqa: S101
    size: int = row[0]
    return size


def processor_time(pid: int) -> float:
    """Return the seconds of processor time of a process, of its living descendants, and of those that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (
        FileNotFoundError,
        ProcessLookupError,
    ):  # it has ended meanwhile, and its parent counts it
        return 0.0
    own = sum(int(value) for value in fields[11:15]) / TICKS_PER_SECOND
    return own + sum(map(processor_time, children))


def _measure_load(installation: Installation, token: str, path: str) -> LoadResult:
    with run_server(
        "config.asgi:application",
        environment=installation.environment,
        processes=1,
        ready_path="/api/v1/health/live",
    ) as address:
        url, headers = f"{address}/api/v1/{path}", {"Authorization": f"Bearer {token}"}
        measure_load(url, headers=headers, clients=CLIENTS, seconds=1.0)  # a warm-up
        return measure_load(url, headers=headers, clients=CLIENTS, seconds=SECONDS)
