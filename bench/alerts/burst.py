"""Ten thousand runs fail: how many messages a channel gets, what is lost, and how slow the API is meanwhile.

They fail in two ways, between which "within a minute" lies: one by one, as fast as this machine ends them, and all at the same
moment, by one transaction. Each is ended by the verb that ends each run; nothing is executed.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
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

Start = Callable[[Installation, str], list[subprocess.Popen[bytes]]]


def measure(installation: Installation) -> Iterator[Figure]:
    yield from _measure(installation, "one by one", _end_one_by_one)
    yield from _measure(installation, "at the same moment", _end_at_once)


def _measure(installation: Installation, way: str, start: Start) -> Iterator[Figure]:
    with running_receiver() as receiver:
        created = run_program(installation, "running", receiver.url, str(FAILURES))
        # As autovacuum does soon. Only the owner of the tables can collect their statistics.
        with psycopg.connect(installation.owner_url(), autocommit=True) as owner:
            owner.execute("ANALYZE")
        with running_drover(installation.environment) as address:
            url = f"{address}/api/v1/pipelines"
            headers = {"Authorization": f"Bearer {created['token']}"}
            measure_load(url, headers=headers, clients=1, seconds=3.0)  # a warm-up
            idle = measure_load(url, headers=headers, clients=1, seconds=15.0)
            ending = start(installation, created["org"])
            busy = measure_load(url, headers=headers, clients=1, seconds=SECONDS)
            outputs = [process.communicate(timeout=LONGEST_WAIT)[0] for process in ending]
            seconds = max(float(output.split()[-1]) for output in outputs)
            lost = FAILURES - _told(installation, created["channel"])
        counts = [message["count"] for message in receiver.messages]
    burst = f"{FAILURES:,} failures {way}, within {seconds:.1f} s"
    yield figure_with_upper_bound(
        "messages of a webhook", burst, [len(counts)], at_most=20, unit="messages"
    )
    yield figure_with_upper_bound("events that are lost", burst, [lost], at_most=0, unit="events")
    yield figure_without_target("events in the messages", burst, [sum(counts)], unit="events")
    yield figure_of_ratio(
        f"GET /pipelines while runs fail {way}, p95",
        "idle",
        [busy.p95],
        [idle.p95],
        at_most=2.0,
        unit="ms",
    )


def _end_one_by_one(installation: Installation, org: str) -> list[subprocess.Popen[bytes]]:
    """Start the processes that let the runs fail, as several workers do, and are as many as the processors."""
    return [
        _start(installation, "end", org, str(SECONDS), str(place), str(PROCESSES))
        for place in range(PROCESSES)
    ]


def _end_at_once(installation: Installation, org: str) -> list[subprocess.Popen[bytes]]:
    """Start the process that lets the runs fail in one transaction, and return it when it commits."""
    process = _start(installation, "end-at-once", org)
    assert process.stdin is not None  # noqa: S101 - of the types
    assert process.stdout is not None  # noqa: S101
    process.stdout.readline()
    process.stdin.write(b"commit\n")
    process.stdin.flush()
    return [process]


def _start(installation: Installation, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, *arguments],
        env=dict(installation.environment),
        cwd=ROOT,
        stdin=subprocess.PIPE,
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
