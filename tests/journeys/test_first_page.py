"""The first steps of a user in a real browser: log in, run a pipeline, create a pipeline and a custom source.

A new user gets from the first page to the records that arrived with few clicks.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests import database
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import PASSWORD, SHOP, Site, Visitor, shop_database
from tests.journeys.steps import DESKTOP, PHONE, RUN_TIMEOUT, log_in, open_tab

RUN_ADDRESS = re.compile(r"/runs/[0-9a-f-]{36}$")
SOURCE_CODE = """from drover import Page, Source
class Three(Source):
    streams = ["numbers"]
    def get(self, pagination=None):
        return Page([{"n": n} for n in range(3)])
"""
PASTE_SCRIPT = """(editor, text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    editor.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
}"""
MAX_CLICKS_WITH_SAMPLES = 9
MAX_CLICKS_WITH_OWN_SOURCE = 12
# Counts what a hand does, in all pages of the tab. A click that a key causes has no detail.
COUNT_CLICKS = """addEventListener("click", (event) => {
    if (event.isTrusted && event.detail > 0)
        sessionStorage.setItem("clicks", Number(sessionStorage.getItem("clicks")) + 1);
}, true)"""


def test_a_user_logs_in_runs_a_pipeline_and_creates_a_pipeline_and_a_custom_source(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    page.goto(site.url)
    expect(page.get_by_label("E-mail")).to_be_visible()
    assert severe_violations(page) == []
    log_in(page, site)

    rows = page.get_by_role("grid", name="Pipelines").get_by_role("row")
    expect(rows.filter(has=page.get_by_role("img", name="From PostgreSQL")).first).to_be_visible()
    assert severe_violations(page) == []
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
    expect(status).to_have_attribute("data-status", "succeeded", timeout=RUN_TIMEOUT)
    expect(progress).to_have_attribute("aria-valuenow", "100")
    expect(page.get_by_role("definition").filter(has_text="336,776").first).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=tmp_path / "succeeded.png")

    page.reload()
    expect(status).to_have_attribute("data-status", "succeeded")
    expect(log.first).to_be_visible()
    look_at_the_overview(page, tmp_path)
    create_pipeline(page, tmp_path)
    create_custom_source(page, tmp_path)
    open_repositories(page)
    assert visitor.errors == []


def look_at_the_overview(page: Page, screenshots: Path) -> None:
    """Open the run in the timeline by keyboard, and look at the overview on a phone."""
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    timeline = page.get_by_role("region", name="Last 24 hours")
    name = timeline.get_by_role("link", name="Flights to Parquet", exact=True)
    expect(name).to_be_visible()
    expect(page.get_by_role("region", name="Freshness").get_by_role("link")).to_have_count(5)
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "overview.png", full_page=True)
    timeline.get_by_label("Search pipelines in the timeline").fill("flights")
    expect(page).to_have_url(re.compile(r"\?q=flights$"))
    name.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/runs/|from="))
    page.go_back()
    page.set_viewport_size(PHONE)
    expect(timeline).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "overview on a phone.png", full_page=True)
    page.set_viewport_size(DESKTOP)


def create_pipeline(page: Page, screenshots: Path) -> None:
    """Create a pipeline between saved connectors, then add a transform on its page."""
    page.get_by_role("link", name="Pipelines").first.click()
    page.get_by_role("link", name="New pipeline").first.click()
    page.get_by_text("Airports file", exact=True).click()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("1 of 1 stream selected")).to_be_visible()  # a lone stream is chosen
    page.get_by_role("button", name="Continue").click()
    page.get_by_text("DuckDB database", exact=True).click()
    page.get_by_label("Destination table").fill("airfields")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Preview 10 records").click()
    expect(page.get_by_text("Read 10 records from the source.")).to_be_visible()
    page.screenshot(path=screenshots / "review.png", full_page=True)
    assert severe_violations(page) == []
    page.get_by_role("button", name="Create pipeline").click()
    expect(page.get_by_text("No runs yet")).to_be_visible()
    open_tab(page, "Configuration")
    page.get_by_role("button", name="Add a Python transform").click()
    page.get_by_role("button", name="Start from an example").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Transform code")).to_contain_text("return record")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "pipeline.png", full_page=True)


def create_custom_source(page: Page, screenshots: Path) -> None:
    """Open the editor, replace the example, preview the records, and save the source."""
    page.get_by_role("link", name="Custom sources").click()
    page.get_by_role("link", name="Create a source").click()
    editor = page.get_by_role("textbox", name="Source code")
    expect(page.get_by_text("Valid:")).to_be_visible()
    editor.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Delete")
    editor.evaluate(PASTE_SCRIPT, SOURCE_CODE)
    expect(page.get_by_text("Valid: 1 stream")).to_be_visible()
    page.get_by_role("button", name="Preview 20 records").click()
    expect(page.get_by_text("3 records in")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "source.png")
    page.get_by_label("Name").fill("Three")
    page.get_by_role("button", name="Save and approve").click()
    expect(page.get_by_text("Pipelines run this version (version 1).")).to_be_visible()
    assert severe_violations(page) == []


def open_repositories(page: Page) -> None:
    page.get_by_role("link", name="Custom sources").click()
    page.get_by_role("link", name="Git repositories").click()
    page.get_by_role("button", name="Connect a repository").click()
    expect(page.get_by_label("Branch")).to_have_value("main")
    assert severe_violations(page) == []


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
    # An address without the dashboard, which might renew the session meanwhile.
    page.goto(f"{site.url}/api/v1/health/live")
    page.context.clear_cookies()
    page.evaluate("localStorage.clear()")  # which remembers that there was a session
    page.goto(f"{site.url}/signup")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Organization").fill("First minutes")
    page.get_by_label("E-mail").fill(f"ada-{uuid4().hex[:8]}@example.com")
    page.get_by_label("Password").fill("correct horse battery staple")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Load your first data")).to_be_visible()
    expect(page.get_by_text("Confirm your e-mail address")).to_be_visible()
    page.evaluate("sessionStorage.setItem('clicks', 0)")


def clicks(page: Page) -> int:
    return int(page.evaluate("sessionStorage.getItem('clicks')"))


def load_sample_data(page: Page, screenshots: Path) -> None:
    page.get_by_role("link", name="Sample data: flights").click()
    preview = page.get_by_role("region", name="Preview of the records").get_by_role("row")
    expect(preview).to_have_count(11)
    expect_focus_on_heading(page)
    expect(page.get_by_role("radio", name=re.compile("^DuckDB"))).to_be_checked()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "sample.png", full_page=True)
    page.get_by_role("button", name="Create pipeline and run").click()
    expect_focus_on_heading(page)
    expect_records(page, screenshots / "sample-arrived.png")


def expect_focus_on_heading(page: Page) -> None:
    """The link or button that had the focus is gone with its page."""
    expect(page.get_by_role("heading", level=1)).to_be_focused()


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
    page.set_viewport_size(PHONE)
    assert severe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.set_viewport_size(DESKTOP)


def load_own_table(page: Page, screenshots: Path) -> None:
    """Copy a table of PostgreSQL to Parquet. Five fields are typed, from one to the next by the keyboard."""
    server = urlsplit(database.url_of(SHOP))
    page.get_by_role("link", name="Your own source").click()
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
    expect(page).to_have_url(RUN_ADDRESS)
    expect_focus_on_heading(page)
    page.get_by_role("link", name="Look at the records").click(timeout=RUN_TIMEOUT)
    expect_records(page, screenshots / "own-arrived.png")
