"""The sandbox: its start time, and its throughput of records, compared with the same code outside the sandbox."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from apps.engine.contract import CodeSpec, SandboxSpec
from apps.engine.sandbox import paths
from apps.engine.sandbox.layers import isolation
from apps.engine.sandbox.limits import Limits
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.session import Sandbox
from apps.engine.sources.connector import rows_page
from apps.engine.sync.transforms import Transform
from bench.figures import Figure, at_least, bound
from bench.scratch import Scratch

PAGE = 10_000  # records of six fields
PAGES = 20
SOURCE = f"""
from drover import Page, Source

ROWS = [
    {{"id": n, "name": f"customer {{n}}", "city": "Paris", "paid": n % 2 == 0, "total": n * 1.5, "note": None}}
    for n in range({PAGE})
]


class Made(Source):
    streams = ["made"]

    def get(self, pagination=None):
        page = (pagination or {{"page": 0}})["page"]
        return Page(ROWS, {{"page": page + 1}} if page + 1 < {PAGES} else None)
"""
TRANSFORM = "def transform(record):\n    record['total'] *= 2\n    return record\n"
BOUND: dict[str, Any] = {
    "config": {},
    "stream": "made",
    "sync_mode": "full_refresh",
    "cursor": None,
}
# The comparison for the start: a Python that imports the same modules as the sandbox.
BARE = "import sys; sys.path.insert(0, sys.argv[1]); import drover._serving"


def measure(place: Scratch, rounds: int) -> Iterator[Figure]:
    """Starts are paired with those of a plain interpreter; each round of records has 200,000 of them."""
    ground = SandboxSite(tempfile.gettempdir())
    starts, bare = [], []
    for _ in range(max(10, rounds)):
        starts.append(_start(ground))
        bare.append(_bare_start())
    middle = sorted(bare)[len(bare) // 2]
    rival = f"a plain Python with the same imports: {middle:.0f} ms"
    name = f"Sandbox, start ({isolation(None).explained})"
    yield bound(name, rival, starts, at_most=250, unit="ms")
    rates = [_records(ground) for _ in range(rounds)]
    yield at_least(
        "Sandbox, records",
        "a source of 200,000 records in pages of 10,000",
        rates,
        bar=50_000,
        unit="records/s",
    )
    rates = [_transformed() for _ in range(rounds)]
    yield at_least(
        "Transform, records", "the same, changed one by one", rates, bar=50_000, unit="records/s"
    )


def _start(ground: SandboxSite) -> float:
    """Measure the milliseconds until the process is confined and the code is about to be loaded."""
    started = time.perf_counter()
    with Sandbox(SOURCE, ground=ground, limits=Limits()) as sandbox:
        sandbox.wait_ready()
        return (time.perf_counter() - started) * 1000


def _bare_start() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE, str(paths.LIBRARY)], check=True)
    return (time.perf_counter() - started) * 1000


def _records(ground: SandboxSite) -> float:
    with Sandbox(SOURCE, ground=ground, limits=Limits()) as sandbox:
        sandbox.ask("streams")
        started, pagination, count = time.perf_counter(), None, 0
        while True:
            answer = sandbox.ask("page", bound=BOUND, pagination=pagination, since=None, limit=None)
            count += len(answer.rows)
            pagination = answer.values["next"]
            if not pagination:
                return count / (time.perf_counter() - started)


def _transformed() -> float:
    rows = [
        {"id": n, "name": f"customer {n}", "city": "Paris", "paid": True, "total": n * 1.5}
        for n in range(PAGE)
    ]
    with Transform(CodeSpec(TRANSFORM), SandboxSpec(home=tempfile.gettempdir())) as transform:
        transform.apply(rows_page(rows[:1], {}))
        started = time.perf_counter()
        for _ in range(PAGES):
            transform.apply(rows_page(rows, {}))
        return PAGE * PAGES / (time.perf_counter() - started)
