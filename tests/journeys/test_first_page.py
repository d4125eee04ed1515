"""The first steps of a user in a real browser: log in, run a pipeline, create a pipeline and a custom source."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor

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
RUN_TIMEOUT = 120_000  # milliseconds


def test_a_user_logs_in_runs_a_pipeline_and_creates_a_pipeline_and_a_custom_source(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    log_in(page, site)

    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows.filter(has_text="postgres").first).to_be_visible()
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
    name = timeline.get_by_role("link", name="flights", exact=True)
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
    page.set_viewport_size({"width": 360, "height": 740})
    expect(timeline).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "overview on a phone.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 800})


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


def open_tab(page: Page, name: str) -> None:
    """Open a tab of a pipeline's page."""
    page.get_by_role("navigation", name="Pipeline", exact=True).get_by_role(
        "link", name=name
    ).click()


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


def log_in(page: Page, site: Site) -> None:
    page.goto(site.url)
    assert severe_violations(page) == []
    page.get_by_label("E-mail").fill(site.email)
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    page.get_by_role("link", name="Pipelines", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="Pipelines")).to_be_visible()
