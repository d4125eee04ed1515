"""Ten thousand runs fail within a minute: how many messages a channel gets, what is lost, and how slow the API is meanwhile."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from bench.alerts.running import PROGRAM, run_program
from bench.figures import Figure, figure_of_ratio, figure_with_upper_bound, figure_without_target
from bench.load import measure_load
from bench.scratch import ROOT, Installation
from bench.start import running_drover
from tests.alerts.receiver import running_receiver

FAILURES = 10_000
SECONDS = 60.0
PROCESSES = os.cpu_count() or 1
LONGEST_WAIT = 900.0  # seconds, until all runs have ended, and then until everything was sent


def measure(installation: Installation) -> Iterator[Figure]:
    """The runs are ended by the verb that ends each run; nothing is executed."""
    with running_receiver() as receiver:
        created = run_program(installation, "running", receiver.url, str(FAILURES))
        with running_drover(installation.environment) as address:
            url = f"{address}/api/v1/pipelines"
            headers = {"Authorization": f"Bearer {created['token']}"}
            measure_load(url, headers=headers, clients=1, seconds=3.0)  # a warm-up
            idle = measure_load(url, headers=headers, clients=1, seconds=15.0)
            ending = [_end_runs(installation, created["org"], place) for place in range(PROCESSES)]
            busy = measure_load(url, headers=headers, clients=1, seconds=SECONDS)
            seconds = max(float(process.communicate(timeout=LONGEST_WAIT)[0]) for process in ending)
            lost = FAILURES - _told(installation, created["channel"])
        counts = [message["count"] for message in receiver.messages]
    burst = f"{FAILURES:,} failures in {seconds:.0f} s, {PROCESSES} processes"
    yield figure_with_upper_bound(
        "messages of a webhook", burst, [len(counts)], at_most=20, unit="messages"
    )
    yield figure_with_upper_bound("events that are lost", burst, [lost], at_most=0, unit="events")
    yield figure_without_target("events in the messages", burst, [sum(counts)], unit="events")
    yield figure_of_ratio(
        "GET /pipelines in a burst, p95", "idle", [busy.p95], [idle.p95], at_most=2.0, unit="ms"
    )


def _end_runs(installation: Installation, org: str, place: int) -> subprocess.Popen[bytes]:
    """Start one of the processes that let the runs fail, as several workers do."""
    return subprocess.Popen(
        [*PROGRAM, "end", org, str(SECONDS), str(place), str(PROCESSES)],
        env=dict(installation.environment),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )


def _told(installation: Installation, channel: str) -> int:
    """Return for how many pipelines the log has an event that was sent, once nothing waits any more."""
    deadline = time.monotonic() + LONGEST_WAIT
    with psycopg.connect(installation.owner_url(), autocommit=True) as owner:
        while True:
            row: Any = owner.execute(
                """SELECT count(DISTINCT pipeline_id) FILTER (WHERE state = 'sent'), count(*) FILTER (WHERE state = 'pending')
                   FROM alerts_delivery WHERE channel_id = %s""",
                [channel],
            ).fetchone()
            told, waiting = row
            if not waiting or time.monotonic() > deadline:
                return int(told)
            time.sleep(1)
