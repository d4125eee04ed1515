"""Steps that several journeys take: log in, open a tab, wait for a run, look at a page on a phone."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, ViewportSize, expect

from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site

PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
RUN_SECONDS = 120
RUN_TIMEOUT = RUN_SECONDS * 1000  # milliseconds, as the browser counts
ANSWER_TIMEOUT = 120_000  # milliseconds; a worker imports the agent before its first turn


def log_in(page: Page, site: Site) -> None:
    """Log in by the form, and open the list of pipelines."""
    page.goto(site.url)
    page.get_by_label("E-mail").fill(site.email)
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    page.get_by_role("link", name="Pipelines", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="Pipelines")).to_be_visible()


def open_tab(page: Page, name: str) -> None:
    """Open a tab of a pipeline's page."""
    tabs = page.get_by_role("navigation", name="Pipeline", exact=True)
    tabs.get_by_role("link", name=name).click()


def create_pipeline(client: httpx.Client, name: str, config: dict[str, Any], **fields: Any) -> str:
    """Create a pipeline over the API, and return its id."""
    answer = client.post("pipelines", json={"name": name, "config": config, **fields})
    return str(answer.raise_for_status().json()["id"])


def start_run(client: httpx.Client, pipeline: str) -> str:
    """Start a run over the API, and return its id."""
    return str(client.post(f"pipelines/{pipeline}/run").raise_for_status().json()["id"])


def wait_for_run(client: httpx.Client, run: str, status: str = "succeeded") -> dict[str, Any]:
    """Wait until the run has the status, and return it."""
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        shown: dict[str, Any] = client.get(f"runs/{run}").raise_for_status().json()
        if shown["status"] == status:
            return shown
        assert time.monotonic() < deadline, shown
        time.sleep(0.3)


def run_it(page: Page, client: httpx.Client) -> None:
    """Run the pipeline whose page is open, and wait on the page of the run until it has succeeded."""
    page.get_by_role("button", name=re.compile("^Run ")).click()
    page.wait_for_url(re.compile("/runs/"))
    wait_for_run(client, page.url.rpartition("/")[2])


def check_looks(page: Page, screenshots: Path, name: str) -> None:
    """Check the page with axe, and take its picture in light, in dark, and on a phone."""
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / f"{name}.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=screenshots / f"{name}-dark.png", full_page=True)
    page.emulate_media(color_scheme="light")
    look_on_a_phone(page, screenshots / f"{name}-phone.png")


def look_on_a_phone(page: Page, screenshot: Path) -> None:
    """See that the page is not wider than a phone."""
    desktop = page.viewport_size
    assert desktop is not None
    page.set_viewport_size(PHONE)
    page.screenshot(path=screenshot, full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.set_viewport_size(desktop)
