"""The first five minutes of a new organization: from the first page to the records that arrived, with few clicks."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from playwright.sync_api import Page, ViewportSize, expect

from tests import database
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_connectors import PASSWORD, SHOP, shop_database

MAX_CLICKS_WITH_SAMPLES = 9
MAX_CLICKS_WITH_OWN_SOURCE = 12
PHONE: ViewportSize = {"width": 360, "height": 740}
RUN_TIMEOUT = 120_000  # milliseconds
# Counts what a hand does, in all pages of the tab. A click that a key causes has no detail.
COUNT_CLICKS = """addEventListener("click", (event) => {
    if (event.isTrusted && event.detail > 0)
        sessionStorage.setItem("clicks", Number(sessionStorage.getItem("clicks")) + 1);
}, true)"""


def test_a_new_user_looks_at_records_after_few_clicks(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    page.add_init_script(COUNT_CLICKS)
    with shop_database():
        sign_up(page, site)
        load_sample_data(page, tmp_path)
        assert clicks(page) <= MAX_CLICKS_WITH_SAMPLES
        look_at_a_value(page)
        sign_up(page, site)
        load_own_table(page, tmp_path)
        assert clicks(page) <= MAX_CLICKS_WITH_OWN_SOURCE
    assert visitor.errors == []


def sign_up(page: Page, site: Site) -> None:
    """Create a user with an organization, and begin to count at its first page."""
    page.context.clear_cookies()
    page.goto(f"{site.url}/signup")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Organization").fill("First minutes")
    page.get_by_label("E-mail").fill(f"ada-{uuid4().hex[:8]}@example.com")
    page.get_by_label("Password").fill("correct horse battery staple")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No pipelines yet")).to_be_visible()
    expect(page.get_by_text("Confirm your e-mail address")).to_be_visible()
    page.evaluate("sessionStorage.setItem('clicks', 0)")


def clicks(page: Page) -> int:
    return int(page.evaluate("sessionStorage.getItem('clicks')"))


def load_sample_data(page: Page, screenshots: Path) -> None:
    page.get_by_role("link", name="Try sample data").click()
    page.get_by_role("link", name="Sample data: flights").click()
    preview = page.get_by_role("region", name="Preview of the records").get_by_role("row")
    expect(preview).to_have_count(11)
    expect(page.get_by_role("radio", name=re.compile("^DuckDB"))).to_be_checked()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "sample.png", full_page=True)
    page.get_by_role("button", name="Create pipeline and run").click()
    expect_records(page, screenshots / "sample-arrived.png")


def expect_records(page: Page, screenshot: Path) -> None:
    grid = page.get_by_role("grid")
    expect(grid.get_by_role("gridcell").first).to_be_visible(timeout=RUN_TIMEOUT)
    assert severe_violations(page) == []
    page.screenshot(path=screenshot, full_page=True)


def look_at_a_value(page: Page) -> None:
    """Open the records on the page of the pipeline, load more of them, and open a value by the keyboard."""
    page.get_by_role("link", name="Open the pipeline").click()
    page.get_by_role("link", name="Data", exact=True).click()
    grid = page.get_by_role("grid", name="Records of flights")
    expect(grid).to_have_attribute("aria-rowcount", "101")
    grid.evaluate("box => { box.scrollTop = box.scrollHeight }")
    expect(grid).to_have_attribute("aria-rowcount", "201")
    grid.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("record 2")
    assert severe_violations(page) == []
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    desktop = page.viewport_size
    page.set_viewport_size(PHONE)
    assert severe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.set_viewport_size(desktop or PHONE)


def load_own_table(page: Page, screenshots: Path) -> None:
    """Copy a table of PostgreSQL to Parquet. Five fields are typed, from one to the next by the keyboard."""
    server = urlsplit(database.url_of(SHOP))
    page.get_by_role("link", name="Create your first pipeline").click()
    page.get_by_role("button", name=re.compile("^PostgreSQL")).click()
    expect(page.get_by_label("Host")).to_be_focused()
    for value in (server.hostname or "", str(server.port), SHOP, SHOP, PASSWORD):
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.type(value)
        page.keyboard.press("Tab")
    page.screenshot(path=screenshots / "own-source.png", full_page=True)
    page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_text("1 of 1 stream selected")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name=re.compile("^Parquet")).click()
    page.get_by_role("button", name="Save and continue").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Create and run").click()
    page.get_by_role("link", name="Look at the records").click(timeout=RUN_TIMEOUT)
    expect_records(page, screenshots / "own-arrived.png")
