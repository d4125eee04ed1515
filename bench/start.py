"""The time from `POST run` until the child process of the run starts, compared with a loop that polls every second.

The installation has no other runs.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

import orjson
import psycopg

from bench.figures import Figure, figure_with_upper_bound, percentile
from bench.scratch import ROOT, Installation, run_server

RUNS_PER_ROUND = 30
POLL_SECONDS = 1.0  # seconds between two polls of the loop


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Measure runs through the API and rows for the polling loop, in paired rounds."""
    created = create_runs(installation, 1)
    p50, p95, polling_medians = [], [], []
    with running_drover(installation.environment) as address:
        client = Client(address, created["token"], created["pipelines"][0])
        client.run(wait=60)  # the first run is a warm-up
        for _ in range(rounds):
            durations = [client.run() for _ in range(RUNS_PER_ROUND)]
            p50.append(percentile(durations, 0.5))
            p95.append(percentile(durations, 0.95))
            polling_medians.append(
                median(_measure_polling_loop(installation.owner_url(), RUNS_PER_ROUND // 3))
            )
    comparison = f"loop of {POLL_SECONDS:g} s: p50 {median(polling_medians):.0f} ms, and it starts no process"
    yield figure_with_upper_bound(
        "POST run -> child is running, p50", comparison, p50, at_most=150, unit="ms"
    )
    yield figure_with_upper_bound(
        "POST run -> child is running, p95", comparison, p95, at_most=400, unit="ms"
    )


def create_runs(installation: Installation, pipeline_count: int, *options: str) -> dict[str, Any]:
    """Create an org with pipelines that log ten generated rows. With the option `--runs`, each has a pending run.

    Returns what `bench.create_runs` prints.
    """
    process = subprocess.run(
        [sys.executable, "-m", "bench.create_runs", str(pipeline_count), *options],
        env=dict(installation.environment),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    output: dict[str, Any] = orjson.loads(process.stdout)
    return output


@dataclass(frozen=True, slots=True)
class FinishedRun:
    created_at: datetime
    launched_at: datetime  # when its first child started
    finished_at: datetime


class Client:
    """Runs a pipeline through the API."""

    def __init__(self, address: str, token: str, pipeline: str) -> None:
        self._api = f"{address}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._pipeline = pipeline

    def run(self, wait: float = 20) -> float:
        """Run the pipeline to its end, and return the milliseconds from the request to the start of the child."""
        time.sleep(random.uniform(0, POLL_SECONDS / 2))  # noqa: S311 - varies the phase of a polling loop
        sent_at = time.time()
        return (self.run_to_end(wait).launched_at.timestamp() - sent_at) * 1000

    def run_to_end(self, wait: float) -> FinishedRun:
        """Run the pipeline. Raises RuntimeError if the run fails or takes longer than `wait` seconds."""
        run = self._request("POST", f"/pipelines/{self._pipeline}/run", b"{}")
        deadline = time.monotonic() + wait
        while run["status"] not in {"succeeded", "failed", "cancelled"}:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the run does not end: {run}")
            time.sleep(0.2)
            run = self._request("GET", f"/runs/{run['id']}")
        if run["status"] != "succeeded":
            raise RuntimeError(f"the run failed: {run['failure']}")
        times = (run["created_at"], run["attempts"][0]["launched_at"], run["finished_at"])
        return FinishedRun(*map(datetime.fromisoformat, times))

    def _request(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            self._api + path, data=body, headers=self._headers, method=method
        )
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 - our own address
            fields: dict[str, Any] = orjson.loads(response.read())
        return fields


@contextmanager
def running_drover(environment: Mapping[str, str]) -> Iterator[str]:
    """Run a web server and a worker, and yield the address of the server."""
    with (
        run_server(
            "config.asgi:application",
            environment=environment,
            processes=1,
            ready_path="/api/v1/health/live",
        ) as address,
        _running_worker(environment),
    ):
        yield address


@contextmanager
def _running_worker(environment: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, ROOT / "manage.py", "worker"], cwd=ROOT, env=dict(environment)
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _measure_polling_loop(url: str, count: int) -> list[float]:
    """Return, for each of `count` rows, the milliseconds from its insertion until the polling loop has read it."""
    durations: list[float] = []
    stop = threading.Event()

    def poll_rows() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                row = connection.execute(
                    """UPDATE bench_queue SET taken_at = clock_timestamp() WHERE id = (
                           SELECT id FROM bench_queue WHERE taken_at IS NULL
                           ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1)
                       RETURNING extract(epoch FROM taken_at - made_at) * 1000"""
                ).fetchone()
                if row is None:
                    stop.wait(POLL_SECONDS)
                else:
                    durations.append(float(row[0]))

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """CREATE TABLE IF NOT EXISTS bench_queue (id bigserial PRIMARY KEY,
               made_at timestamptz NOT NULL DEFAULT clock_timestamp(), taken_at timestamptz)"""
        )
        thread = threading.Thread(target=poll_rows)
        thread.start()
        for number in range(count):
            time.sleep(random.uniform(0, POLL_SECONDS))  # noqa: S311 - varies the phase of the loop
            connection.execute("INSERT INTO bench_queue DEFAULT VALUES")
            while len(durations) <= number:
                time.sleep(0.01)
        stop.set()
        thread.join()
    return durations
