"""The start time of a sandbox, compared with a plain Python, and the records per second of sandboxed code."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from apps.engine.contract import CodeSpec, SandboxSpec
from apps.engine.sandbox import paths
from apps.engine.sandbox.layers import choose_isolation
from apps.engine.sandbox.limits import Limits
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.session import Sandbox
from apps.engine.sources.connector import rows_page
from apps.engine.sync.transforms import Transform
from bench.figures import Figure, figure_with_lower_bound, figure_with_upper_bound
from bench.scratch import Installation

PAGE_SIZE = 10_000  # records of six fields
PAGE_COUNT = 20
SOURCE = f"""
from drover import Page, Source

ROWS = [
    {{"id": n, "name": f"customer {{n}}", "city": "Paris", "paid": n % 2 == 0, "total": n * 1.5, "note": None}}
    for n in range({PAGE_SIZE})
]


class Customers(Source):
    streams = ["customers"]

    def get(self, pagination=None):
        page = (pagination or {{"page": 0}})["page"]
        return Page(ROWS, {{"page": page + 1}} if page + 1 < {PAGE_COUNT} else None)
"""
TRANSFORM = "def transform(record):\n    record['total'] *= 2\n    return record\n"
SOURCE_SETTINGS: dict[str, Any] = {
    "config": {},
    "stream": "customers",
    "sync_mode": "full_refresh",
    "cursor": None,
}
# For the comparison of the start time: a Python that imports the same modules as the sandbox.
PLAIN_PYTHON = "import sys; sys.path.insert(0, sys.argv[1]); import drover._serving"


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Measure the starts of sandboxes and of plain interpreters in turn, and then the records per second.

    Each round reads and then transforms 200,000 records.
    """
    site = SandboxSite(tempfile.gettempdir())
    sandbox_starts, plain_starts = [], []
    for _ in range(max(10, rounds)):
        sandbox_starts.append(_start_sandbox(site))
        plain_starts.append(_start_plain_python())
    median_start = sorted(plain_starts)[len(plain_starts) // 2]
    comparison = f"a plain Python with the same imports: {median_start:.0f} ms"
    name = f"Sandbox, start ({choose_isolation(None).summary})"
    yield figure_with_upper_bound(name, comparison, sandbox_starts, at_most=250, unit="ms")
    record_rates = [_records_per_second(site) for _ in range(rounds)]
    yield figure_with_lower_bound(
        "Sandbox, records",
        "a source of 200,000 records in pages of 10,000",
        record_rates,
        at_least=50_000,
        unit="records/s",
    )
    record_rates = [_transformed_records_per_second() for _ in range(rounds)]
    yield figure_with_lower_bound(
        "Transform, records",
        "as many records of five fields, changed one by one",
        record_rates,
        at_least=50_000,
        unit="records/s",
    )


def _start_sandbox(site: SandboxSite) -> float:
    """Return the milliseconds until the process is confined, before it loads the code."""
    started = time.perf_counter()
    with Sandbox(SOURCE, site=site, limits=Limits()) as sandbox:
        sandbox.wait_until_ready()
        return (time.perf_counter() - started) * 1000


def _start_plain_python() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", PLAIN_PYTHON, str(paths.LIBRARY)], check=True)
    return (time.perf_counter() - started) * 1000


def _records_per_second(site: SandboxSite) -> float:
    with Sandbox(SOURCE, site=site, limits=Limits()) as sandbox:
        sandbox.call("streams")
        started, pagination, count = time.perf_counter(), None, 0
        while True:
            answer = sandbox.call(
                "page",
                source_settings=SOURCE_SETTINGS,
                pagination=pagination,
                since=None,
                limit=None,
            )
            count += len(answer.rows)
            pagination = answer.values["next"]
            if not pagination:
                return count / (time.perf_counter() - started)


def _transformed_records_per_second() -> float:
    rows = [
        {"id": n, "name": f"customer {n}", "city": "Paris", "paid": True, "total": n * 1.5}
        for n in range(PAGE_SIZE)
    ]
    with Transform(CodeSpec(TRANSFORM), SandboxSpec(home=tempfile.gettempdir())) as transform:
        transform.apply(rows_page(rows[:1], {}))
        started = time.perf_counter()
        for _ in range(PAGE_COUNT):
            transform.apply(rows_page(rows, {}))
        return PAGE_SIZE * PAGE_COUNT / (time.perf_counter() - started)
