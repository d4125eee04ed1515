"""Tables of the demo's database are copied by one pipeline: first three that are selected, then all that match patterns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.steps import DESKTOP, PHONE, RUN_TIMEOUT, check_looks, log_in

TABLES = ("airlines", "airports", "planes")


@pytest.mark.long
def test_selected_tables_and_tables_that_match_patterns_are_copied_by_one_pipeline_each(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    log_in(page, site)
    choose_source(page)
    select_tables(page, tmp_path)
    choose_destination(page)
    review_tables(page, tmp_path)
    correct_table(visitor, tmp_path)
    run_tables(page, tmp_path)
    choose_snapshots(page, tmp_path)

    page.goto(f"{site.url}/pipelines")
    choose_source(page)
    enter_patterns(page, tmp_path)
    choose_destination(page)
    review_patterns(page, tmp_path)
    run_patterns(page, tmp_path)
    edit_patterns(page, tmp_path)
    name_a_stream(page, tmp_path)
    look_at_versions(page, tmp_path)
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
    check_looks(page, screenshots, "streams")


def choose_destination(page: Page) -> None:
    """Choose the destination and no schedule, and open the review."""
    page.get_by_role("button", name="Continue").click()
    page.get_by_text("DuckDB database", exact=True).click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Continue").click()


def review_tables(page: Page, screenshots: Path) -> None:
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
    assert visitor.unexpected_errors(422) == []
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


def run_tables(page: Page, screenshots: Path) -> None:
    run_to_success(page)
    expect(page.get_by_text("3 of 3 succeeded")).to_be_visible()
    expect(page.get_by_text("to aircraft", exact=True)).to_be_visible()
    expect(page.get_by_text("Read in one snapshot, taken")).to_be_visible()
    page.screenshot(path=screenshots / "run.png", full_page=True)


def choose_snapshots(page: Page, screenshots: Path) -> None:
    """Choose one snapshot for all streams on the pipeline's page."""
    page.get_by_role("main").get_by_role("link", name=re.compile("to DuckDB")).first.click()
    page.get_by_role("link", name="Configuration").click()
    expect(page.get_by_label("If a stream fails")).to_have_value("stop")
    page.get_by_label("Snapshots of the source").select_option("One for all streams")
    page.get_by_label("After an interruption, read").select_option("All streams")
    check_looks(page, screenshots, "snapshots")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved as version 2")).to_be_visible()
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
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 3")).to_be_visible()


def enter_patterns(page: Page, screenshots: Path) -> None:
    page.get_by_role("button", name="All that match patterns").click()
    expect(page.get_by_role("button", name="Continue")).to_be_disabled()
    page.get_by_label("Patterns", exact=True).fill("public.*\n!*.flights\n!*.weather")
    page.get_by_label("Destination tables").fill("chosen_{table}")
    page.get_by_label("New and changed columns").select_option("Leave out new columns")
    page.get_by_text("Drop, rename or protect fields").click()
    page.get_by_role("button", name="Add a field").click()
    rule = page.get_by_role("group", name="Field 1")
    rule.get_by_label("Values").select_option("Hash")
    rule.get_by_role("combobox", name="Field", exact=True).fill("tailnum")
    matches = page.get_by_role("region", name="Matching streams")
    expect(matches.get_by_text("to chosen_planes")).to_be_visible()
    expect(matches.get_by_text("flights", exact=True)).to_have_count(0)
    check_looks(page, screenshots, "patterns")
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("button", name="Refresh", exact=True)).to_be_enabled()


def review_patterns(page: Page, screenshots: Path) -> None:
    expect(page.get_by_text(re.compile("streams match"))).to_be_visible()
    page.get_by_label("Stream of the preview").select_option("planes")
    page.get_by_role("button", name="Preview 10 records").click()
    expect(page.get_by_text("Read 10 records from the source.")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "patterns-review.png", full_page=True)
    page.get_by_role("button", name="Create pipeline").click()
    expect(page.get_by_text("No runs yet")).to_be_visible()


def run_patterns(page: Page, screenshots: Path) -> None:
    run_to_success(page)
    expect(page.get_by_text("to chosen_planes", exact=True)).to_be_visible()
    page.screenshot(path=screenshots / "patterns-run.png", full_page=True)


def edit_patterns(page: Page, screenshots: Path) -> None:
    """Exclude one more table under Configuration, and see how many match."""
    page.go_back()
    page.get_by_role("link", name="Configuration").click()
    patterns = page.get_by_label("Patterns", exact=True)
    patterns.fill(f"{patterns.input_value()}\n!*.airports")
    matches = page.get_by_role("region", name="Matching streams")
    expect(matches.get_by_text("airports")).to_have_count(0)
    check_looks(page, screenshots, "patterns-configuration")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 2")).to_be_visible()


def name_a_stream(page: Page, screenshots: Path) -> None:
    """Give a stream that the patterns exclude a place in the list, with a table of its own."""
    page.get_by_text("Add or remove streams").click()
    page.get_by_role("checkbox", name="airports").check()
    page.get_by_role("checkbox", name="planes").check()
    page.get_by_role("button", name="Edit airports").click()
    settings = page.get_by_role("region", name="Settings of airports")
    settings.get_by_label("Destination table").fill("airports_by_name")
    page.get_by_role("button", name="Edit planes").click()
    settings = page.get_by_role("region", name="Settings of planes")
    settings.get_by_label("Destination table").fill("planes_by_name")
    check_looks(page, screenshots, "patterns-table")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 3")).to_be_visible()
    expect(page.get_by_role("heading", name="Streams (2)")).to_be_visible()


def look_at_versions(page: Page, screenshots: Path) -> None:
    page.get_by_role("link", name="Versions").click()
    expect(page.get_by_role("button", name="Changes of version 3")).to_be_visible()
    check_looks(page, screenshots, "patterns-versions")
