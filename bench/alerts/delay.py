"""The time from the end of a failed run until the request at a webhook, with a real worker and nothing else to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import httpx

from bench.alerts.running import run_program
from bench.figures import Figure, figure_with_upper_bound, percentile
from bench.scratch import Installation
from bench.start import running_drover
from tests.alerts.receiver import Receiver, running_receiver

RUNS_PER_ROUND = 15
MAX_RUNS = 45  # An org may have 50 channels.
LONGEST_WAIT = 180.0  # seconds


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Each pipeline has a channel of its own, because what follows within a minute at the same channel is grouped."""
    count = min(RUNS_PER_ROUND * rounds, MAX_RUNS)
    with running_receiver() as receiver:
        created = run_program(installation, "failing", receiver.url, str(count))
        with running_drover(installation.environment) as address:
            headers = {"Authorization": f"Bearer {created['token']}"}
            with httpx.Client(base_url=f"{address}/api/v1/", headers=headers, timeout=20) as client:
                delays = [_fail(client, receiver, pipeline) for pipeline in created["pipelines"]]
    delays = delays[1:]  # the first run is a warm-up
    yield figure_with_upper_bound(
        "run fails -> webhook received, p95",
        f"{len(delays)} runs, one after the other",
        [percentile(delays, 0.95)],
        at_most=1500,
        unit="ms",
    )


def _fail(client: httpx.Client, receiver: Receiver, pipeline: str) -> float:
    """Run the pipeline, which fails, and return the milliseconds from its end until its message has arrived."""
    before = len(receiver.requests)
    run = client.post(f"pipelines/{pipeline}/run").raise_for_status().json()
    deadline = time.monotonic() + LONGEST_WAIT
    while len(receiver.requests) == before:
        if time.monotonic() > deadline:
            raise RuntimeError(f"no message about the run {run['id']} arrives")
        time.sleep(0.002)
    received_at = time.time() - (time.monotonic() - receiver.requests[-1].at)
    ended = client.get(f"runs/{run['id']}").raise_for_status().json()
    return (received_at - datetime.fromisoformat(ended["finished_at"]).timestamp()) * 1000
