"""Open pages in a real browser with an empty cache, and measure when they show content and how much moves."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from playwright.sync_api import Page

from bench.dashboard.browsing import logged_in_page
from bench.dashboard.live import measure_live
from bench.dashboard.rows import LOG_LINES, PIPELINES, RUNS_OF_PIPELINE, STREAMS
from bench.figures import Figure, figure_with_upper_bound
from bench.scratch import ROOT, Installation, run_server
from local import frontend

BUILD = ROOT / "frontend" / "dist"
INITIAL_SCRIPT = re.compile(
    r'<(?:script|link rel="modulepreload")[^>]* (?:src|href)="/static/([^"]+\.js)"'
)
SETTLE_SECONDS = 3.0  # in which a page may still move
WHEEL_STEPS = 100
# As the browser's developer tools emulate 3G: milliseconds, and bytes per second.
SLOW_NETWORK = {
    "offline": False,
    "latency": 562.5,
    "downloadThroughput": 180_000,
    "uploadThroughput": 84_375,
}
FAST_NETWORK = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}


@dataclass(frozen=True, slots=True)
class Visit:
    """A page, and how much there is to show.

    `content` is a selector of what it shows when its content is there. `scrolled` is one of what is scrolled: an element
    with a scroll bar of its own, or `html` if it is the page.
    """

    name: str
    address: str
    content: str
    amount: str
    scrolled: str = "html"


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    frontend.build()
    created = _create_rows(installation)
    rows = f"{PIPELINES:,} pipelines, {PIPELINES * RUNS_OF_PIPELINE:,} runs"
    visits = [
        Visit("overview", "/", "[data-row] [data-status]", rows),
        Visit("list of pipelines", "/pipelines", "text=pipeline 0", rows),
        Visit(
            "run with many streams",
            f"/runs/{created['streams']}",
            "text=public.table_001",
            f"{STREAMS} streams",
            scrolled="[role=region][aria-label=Streams]",
        ),
        Visit(
            "run with a long log",
            f"/runs/{created['log']}",
            "[data-level]",
            f"{LOG_LINES:,} lines",
            scrolled="[role=log]",
        ),
    ]
    seconds, moved, calls, frames, moved_slowly = (
        defaultdict[str, list[float]](list) for _ in range(5)
    )
    server = run_server(
        "config.asgi:application",
        environment=installation.environment,
        processes=1,
        ready_path="/api/v1/health/live",
    )
    with server as address, logged_in_page(address, created) as page:
        for _ in range(rounds):
            for visit in visits:
                seconds[visit.name].append(_open(page, visit))
                page.wait_for_timeout(SETTLE_SECONDS * 1000)
                moved[visit.name].append(page.evaluate("window.moved"))
                calls[visit.name].append(_count_calls(page))
                frames[visit.name].append(_scroll(page, visit))
                moved_slowly[visit.name].append(_open_slowly(page, visit))
    for visit in visits:
        name, amount = visit.name, visit.amount
        yield figure_with_upper_bound(
            f"{name}: content", amount, seconds[name], at_most=1, unit="s"
        )
        yield figure_with_upper_bound(
            f"{name}: layout shift", amount, moved[name], at_most=0.02, unit="CLS"
        )
        yield figure_with_upper_bound(
            f"{name}: layout shift over 3G", amount, moved_slowly[name], at_most=0.02, unit="CLS"
        )
        yield figure_with_upper_bound(
            f"{name}: longest frame of scrolling", amount, frames[name], at_most=100, unit="ms"
        )
        yield figure_with_upper_bound(
            f"{name}: requests of the API", amount, calls[name], at_most=15, unit=""
        )
    yield figure_with_upper_bound(
        "initial JavaScript, gzip",
        "the built front end",
        [_initial_kilobytes()],
        at_most=180,
        unit="kB",
    )
    yield from measure_live(installation, created)


def _create_rows(installation: Installation) -> dict[str, Any]:
    process = subprocess.run(
        [sys.executable, "-m", "bench.dashboard.rows"],
        cwd=ROOT,
        env={**installation.environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
        check=True,
        stdout=subprocess.PIPE,
    )
    with psycopg.connect(installation.owner_url(), autocommit=True) as owner:
        # Autovacuum does this within a minute. Without it, the query plan would depend on the timing.
        owner.execute("VACUUM ANALYZE")
    created: dict[str, Any] = orjson.loads(process.stdout)
    return created


def _open(page: Page, visit: Visit) -> float:
    """Open the page, and return the seconds until its content is visible."""
    started = time.perf_counter()
    page.goto(visit.address, wait_until="commit")
    page.locator(visit.content).first.wait_for()
    return time.perf_counter() - started


def _open_slowly(page: Page, visit: Visit) -> float:
    """Open the page over a slow network, and return how far things have moved when it shows everything."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW_NETWORK)
    _open(page, visit)
    page.wait_for_timeout(2 * SETTLE_SECONDS * 1000)
    session.send("Network.emulateNetworkConditions", {**SLOW_NETWORK, **FAST_NETWORK})
    session.detach()
    moved: float = page.evaluate("window.moved")
    return moved


def _count_calls(page: Page) -> int:
    count: int = page.evaluate(
        "performance.getEntriesByType('resource').filter(entry => entry.name.includes('/api/')).length"
    )
    return count


def _scroll(page: Page, visit: Visit) -> float:
    """Turn the wheel over what the visit scrolls, and return the longest frame in milliseconds.

    Raises RuntimeError if nothing has scrolled.
    """
    area = page.locator(visit.scrolled).first
    if visit.scrolled != "html":
        area.scroll_into_view_if_needed()
    area.hover(position={"x": 200, "y": 160})
    begin = area.evaluate("element => element.scrollTop")
    page.evaluate("window.frames.length = 0")
    for _ in range(WHEEL_STEPS):
        page.mouse.wheel(0, 300)
        page.wait_for_timeout(16)
    if area.evaluate("element => element.scrollTop") == begin:
        raise RuntimeError(f"the page of the {visit.name} has not scrolled")
    longest: float = page.evaluate("Math.max(...window.frames)")
    return longest


def _initial_kilobytes() -> float:
    """Return the size of the scripts that every page loads, compressed, in kB (1,000 bytes)."""
    names = INITIAL_SCRIPT.findall((BUILD / "index.html").read_text())
    if not names:
        raise RuntimeError("the built front end has no scripts")
    return sum(len(gzip.compress((BUILD / name).read_bytes())) for name in names) / 1000
