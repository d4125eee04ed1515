"""Watch pages while runs start, report progress and end, and measure how far things move without a person."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from playwright.sync_api import Page

from bench.dashboard.browsing import logged_in_page
from bench.figures import Figure, figure_with_upper_bound
from bench.scratch import Installation
from bench.start import running_drover
from tests.first_start import log_in

HEIGHTS = {1440: 900, 360: 780}  # of the window in pixels, by its width
WATCHED_SECONDS = 15
SECONDS_BETWEEN_STARTS = 1.5
IDLE_SECONDS = 120
LEAST_CHANGES = 5  # of the text of a page that is live


@dataclass(frozen=True, slots=True)
class LivePage:
    """A page, and which of its org's pipelines runs first. `{run}` in the address stands for its run."""

    name: str
    address: str
    first: int = 0


OVERVIEW = LivePage("overview", "/")
LIST = LivePage("list of pipelines", "/pipelines")
PAGES = (
    OVERVIEW,
    LIST,
    LivePage("page of a run that succeeds", "/runs/{run}"),
    LivePage("page of a run that fails", "/runs/{run}", first=3),
)


def measure_live(installation: Installation, created: Mapping[str, Any]) -> Iterator[Figure]:
    """Watch each page at each width once. At first, nothing has failed in the small org."""
    with running_drover(installation.environment) as address:
        yield from _watch_org(address, created["small"], "small org", (OVERVIEW, LIST))
        yield from _watch_org(address, created, "large org", PAGES)


def _watch_org(
    address: str, org: Mapping[str, Any], org_name: str, pages: Sequence[LivePage]
) -> Iterator[Figure]:
    with log_in({**org, "url": address}) as client, logged_in_page(address, org) as page:
        for live_page, (width, height) in itertools.product(pages, HEIGHTS.items()):
            page.set_viewport_size({"width": width, "height": height})
            moved = _watch(page, client, org["live"], live_page)
            yield figure_with_upper_bound(
                f"{live_page.name}, live: layout shift",
                f"{org_name}, {width} px wide",
                [moved],
                at_most=0.02,
                unit="CLS",
            )


def _watch(
    page: Page, client: httpx.Client, pipelines: Sequence[str], live_page: LivePage
) -> float:
    """Open the page, start the pipelines one after the other, and return the layout shift since the page was opened.

    Raises RuntimeError if the page has hardly changed meanwhile.
    """
    _wait_until_idle(client)
    waiting = [*pipelines[live_page.first :], *pipelines[: live_page.first]]
    run = _start(client, waiting.pop(0))
    page.goto(live_page.address.format(run=run))
    page.get_by_role("heading", level=1).wait_for()
    texts = set()
    deadline = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < deadline:
        page.wait_for_timeout(SECONDS_BETWEEN_STARTS * 1000)
        texts.add(page.locator("main").inner_text())
        if waiting:
            _start(client, waiting.pop(0))
    if len(texts) < LEAST_CHANGES:
        raise RuntimeError(f"the {live_page.name} has shown only {len(texts)} different texts")
    moved: float = page.evaluate("window.moved")
    return moved


def _start(client: httpx.Client, pipeline: str) -> str:
    """Start a run of the pipeline, and return its id."""
    return str(client.post(f"pipelines/{pipeline}/run").raise_for_status().json()["id"])


def _wait_until_idle(client: httpx.Client) -> None:
    """Wait until no run of the org is waiting or running, because a pipeline has one run at a time.

    Raises RuntimeError after IDLE_SECONDS.
    """
    deadline = time.monotonic() + IDLE_SECONDS
    while any(
        client.get("runs", params={"status": status}).raise_for_status().json()["results"]
        for status in ("pending", "running")
    ):
        if time.monotonic() > deadline:
            raise RuntimeError(f"runs have not ended within {IDLE_SECONDS} s")
        time.sleep(0.5)
