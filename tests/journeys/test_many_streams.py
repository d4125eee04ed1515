"""Three tables of the demo's database are selected in a table, and copied by one pipeline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_first_page import RUN_TIMEOUT, log_in

PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
TABLES = ("airlines", "airports", "planes")


@pytest.mark.long
def test_three_tables_are_copied_by_one_pipeline(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    log_in(page, site)
    choose_source(page)
    select_tables(page, tmp_path)
    choose_destination(page)
    review(page, tmp_path)
    correct_table(visitor, tmp_path)
    run(page, tmp_path)
    choose_snapshots(page, tmp_path)
    assert visitor.errors == []


def choose_source(page: Page) -> None:
    page.get_by_role("link", name="New pipeline").first.click()
    page.get_by_text("Flights database", exact=True).click()
    page.get_by_role("button", name="Continue").click()


def select_tables(page: Page, screenshots: Path) -> None:
    """Select three tables with the keyboard and the mouse, and give one of them another name."""
    for table in TABLES:
        page.get_by_role("checkbox", name=re.compile(rf"(^|\.){table}$")).check()
    expect(page.get_by_text(re.compile("^3 of"))).to_be_visible()
    page.get_by_role("button", name=re.compile(r"^Edit (public\.)?planes$")).click()
    page.get_by_label("Destination table").fill("aircraft")
    assert severe_violations(page) == []
    check_widths(page, screenshots, "streams")


def check_widths(page: Page, screenshots: Path, name: str) -> None:
    page.screenshot(path=screenshots / f"{name}.png", full_page=True)
    page.set_viewport_size(PHONE)
    width = page.evaluate("document.documentElement.scrollWidth")
    page.screenshot(path=screenshots / f"{name}-phone.png", full_page=True)
    assert width <= PHONE["width"]
    page.set_viewport_size(DESKTOP)


def choose_destination(page: Page) -> None:
    """Choose the destination and no schedule, and open the review."""
    page.get_by_role("button", name="Continue").click()
    page.get_by_text("DuckDB database", exact=True).click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Continue").click()


def review(page: Page, screenshots: Path) -> None:
    expect(page.get_by_role("region", name="Streams").get_by_role("listitem")).to_have_count(3)
    page.get_by_label("Stream of the preview").select_option(index=2)
    page.get_by_role("button", name="Preview 10 records").click()
    expect(page.get_by_text("Read 10 records from the source.")).to_be_visible()
    page.get_by_label("If a stream fails").select_option("Stop the run")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "review.png", full_page=True)


def correct_table(visitor: Visitor, screenshots: Path) -> None:
    """Read at the row of the stream that another pipeline writes its table, and choose another table."""
    page = visitor.page
    page.get_by_role("button", name="Create pipeline").click()
    settings = page.get_by_role("region", name="Settings of airports")
    table = settings.get_by_label("Destination table")
    expect(table).to_be_focused()
    expect(settings.get_by_text("Airports to DuckDB")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "refused.png", full_page=True)
    assert all("422" in error for error in visitor.errors), visitor.errors
    visitor.errors.clear()
    table.fill("airfields_of_three")
    for _ in ("streams", "destination", "schedule"):
        page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Create pipeline").click()
    expect(page.get_by_text("No runs yet")).to_be_visible()


def run_to_success(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Run ")).click()
    status = page.get_by_role("heading", level=1).locator("[data-status]")
    expect(status).to_have_attribute("data-status", "succeeded", timeout=RUN_TIMEOUT)


def run(page: Page, screenshots: Path) -> None:
    run_to_success(page)
    expect(page.get_by_text("3 of 3 succeeded")).to_be_visible()
    expect(page.get_by_text("aircraft", exact=True)).to_be_visible()
    expect(page.get_by_text("Read in one snapshot, taken")).to_be_visible()
    page.screenshot(path=screenshots / "run.png", full_page=True)


def choose_snapshots(page: Page, screenshots: Path) -> None:
    """Choose one snapshot for all streams on the pipeline's page."""
    page.get_by_role("main").get_by_role("link", name=re.compile("to DuckDB")).first.click()
    page.get_by_role("link", name="Configuration").click()
    expect(page.get_by_label("If a stream fails")).to_have_value("stop")
    page.get_by_label("Snapshots of the source").select_option("One for all streams")
    page.get_by_label("After an interruption, read").select_option("All streams")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "snapshots.png", full_page=True)
    page.set_viewport_size(PHONE)
    page.screenshot(path=screenshots / "snapshots-phone.png", full_page=True)
    page.set_viewport_size(DESKTOP)
    page.get_by_role("button", name="Save").click()
    saved = page.get_by_text(re.compile("^Saved as version"))
    expect(saved).to_be_visible()
    keep_save_bar_free(page, screenshots)


def keep_save_bar_free(page: Page, screenshots: Path) -> None:
    """The message about the save before must not cover the button that saves the next change."""
    page.get_by_label("After an interruption, read").select_option(
        "The streams that are not published"
    )
    for size, name in ((DESKTOP, "save-bar"), (PHONE, "save-bar-phone")):
        page.set_viewport_size(size)
        page.screenshot(path=screenshots / f"{name}.png")
        page.get_by_role("button", name="Save", exact=True).click(trial=True, timeout=3_000)
    page.set_viewport_size(DESKTOP)
