"""From the log-in to the last line of a run's log, in a real browser against the real product."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.journeys.accessibility import grave_violations
from tests.journeys.conftest import Site, Visitor

RUN_ADDRESS = re.compile(r"/runs/[0-9a-f-]{36}$")
RUN_SECONDS = 120_000  # milliseconds


def test_someone_logs_in_starts_a_run_and_watches_it_succeed(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    log_in(page, site)

    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows.filter(has_text="postgres").first).to_be_visible()
    assert grave_violations(page) == []
    page.screenshot(path=tmp_path / "pipelines.png")

    row = rows.filter(has_text="flights").first
    row.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Recent runs")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Run ")).click()

    expect(page).to_have_url(RUN_ADDRESS)
    progress = page.get_by_role("progressbar")
    expect(progress).to_be_visible()
    log = page.get_by_role("log").locator("[data-level]")
    expect(log.first).to_be_visible()
    page.screenshot(path=tmp_path / "running.png")

    status = page.get_by_role("heading", level=1).locator("[data-status]")
    expect(status).to_have_attribute("data-status", "succeeded", timeout=RUN_SECONDS)
    expect(progress).to_have_attribute("aria-valuenow", "100")
    expect(page.get_by_role("definition").filter(has_text="336,776").first).to_be_visible()
    assert grave_violations(page) == []
    page.screenshot(path=tmp_path / "succeeded.png")

    page.reload()
    expect(status).to_have_attribute("data-status", "succeeded")
    expect(log.first).to_be_visible()
    assert visitor.complaints == []


def log_in(page: Page, site: Site) -> None:
    page.goto(site.url)
    assert grave_violations(page) == []
    page.get_by_label("E-mail").fill(site.email)
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", name="Pipelines")).to_be_visible()
