"""The time from `POST run` until its child process is running, when idle, compared with polling once a second."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from statistics import median
from typing import Any

import orjson
import psycopg

from apps.engine.sync.state import install
from bench.figures import Figure, bound, percentile
from bench.scratch import ROOT, Scratch, server

STARTS = 30  # runs per round
POLL = 1.0  # seconds between polls of the replaced loop


def measure(place: Scratch, rounds: int) -> Iterator[Figure]:
    """Yield paired rounds: runs through the API, and rows for the polling loop."""
    install(place.owner_url(), role="app_engine")
    planted = plant(place, 1)
    p50, p95, polled = [], [], []
    with (
        server(
            "config.asgi:application",
            environment=place.environment,
            processes=1,
            ready="/api/v1/health/live",
        ) as address,
        _worker(place),
    ):
        client = _Client(address, planted["token"], planted["pipelines"][0])
        client.run(wait=60)  # the first run is a warm-up
        for _ in range(rounds):
            ours = [client.run() for _ in range(STARTS)]
            p50.append(percentile(ours, 0.5))
            p95.append(percentile(ours, 0.95))
            polled.append(median(_polling_loop(place.owner_url(), STARTS // 3)))
    against = f"loop of {POLL:g} s: p50 {median(polled):.0f} ms, without starting anything"
    yield bound("POST run -> child is running, p50", against, p50, at_most=150, unit="ms")
    yield bound("POST run -> child is running, p95", against, p95, at_most=400, unit="ms")


def plant(place: Scratch, pipelines: int, *options: str) -> dict[str, Any]:
    """Create a member's token and pipelines that generate ten rows and log them; with `--runs`, one run each."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.plant_runs", str(pipelines), *options],
        env=dict(place.environment),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


class _Client:
    def __init__(self, address: str, token: str, pipeline: str) -> None:
        self._api = f"{address}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._pipeline = pipeline

    def run(self, wait: float = 20) -> float:
        """Return the milliseconds from the request to the child's first event; waits until the run has ended."""
        time.sleep(random.uniform(0, POLL / 2))  # noqa: S311 - any phase of any loop
        sent = time.time()
        run = self._ask("POST", f"/pipelines/{self._pipeline}/run", b"{}")
        deadline = time.monotonic() + wait
        while run["status"] not in {"succeeded", "failed", "cancelled"}:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the run does not end: {run}")
            time.sleep(0.2)
            run = self._ask("GET", f"/runs/{run['id']}")
        if run["status"] != "succeeded":
            raise RuntimeError(f"the run failed: {run['failure']}")
        launched = datetime.fromisoformat(run["attempts"][0]["launched_at"])
        return (launched.timestamp() - sent) * 1000

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - a loopback address of ours
            self._api + path, data=body, headers=self._headers, method=method
        )
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - same
            found: dict[str, Any] = orjson.loads(answer.read())
        return found


@contextmanager
def _worker(place: Scratch) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, ROOT / "manage.py", "worker"], cwd=ROOT, env=dict(place.environment)
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _polling_loop(url: str, count: int) -> list[float]:
    """Return the milliseconds from inserting a row until a polling loop has taken it."""
    taken: list[float] = []
    stop = threading.Event()

    def loop() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                row = connection.execute(
                    """UPDATE bench_queue SET taken_at = clock_timestamp() WHERE id = (
                           SELECT id FROM bench_queue WHERE taken_at IS NULL
                           ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1)
                       RETURNING extract(epoch FROM taken_at - made_at) * 1000"""
                ).fetchone()
                if row is None:
                    stop.wait(POLL)
                else:
                    taken.append(float(row[0]))

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """CREATE TABLE IF NOT EXISTS bench_queue (id bigserial PRIMARY KEY,
               made_at timestamptz NOT NULL DEFAULT clock_timestamp(), taken_at timestamptz)"""
        )
        thread = threading.Thread(target=loop)
        thread.start()
        for number in range(count):
            time.sleep(random.uniform(0, POLL))  # noqa: S311 - any phase of the loop
            connection.execute("INSERT INTO bench_queue DEFAULT VALUES")
            while len(taken) <= number:
                time.sleep(0.01)
        stop.set()
        thread.join()
    return taken
