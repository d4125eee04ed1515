"""The tables of the demo's database are chosen by patterns, copied by one pipeline, and the patterns are edited."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_first_page import log_in
from tests.journeys.test_many_streams import (
    check_widths,
    choose_destination,
    choose_source,
    run_to_success,
)


@pytest.mark.long
def test_the_tables_that_match_patterns_are_copied_by_one_pipeline(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    log_in(page, site)
    choose_source(page)
    enter_patterns(page, tmp_path)
    choose_destination(page)
    review_and_create(page, tmp_path)
    run(page, tmp_path)
    edit_patterns(page, tmp_path)
    assert visitor.errors == []


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
    assert severe_violations(page) == []
    check_widths(page, screenshots, "patterns")
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("button", name="Refresh", exact=True)).to_be_enabled()


def review_and_create(page: Page, screenshots: Path) -> None:
    expect(page.get_by_text(re.compile("streams match"))).to_be_visible()
    page.get_by_label("Stream of the preview").select_option("planes")
    page.get_by_role("button", name="Preview 10 records").click()
    expect(page.get_by_text("Read 10 records from the source.")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "patterns-review.png", full_page=True)
    page.get_by_role("button", name="Create pipeline").click()
    expect(page.get_by_text("No runs yet")).to_be_visible()


def run(page: Page, screenshots: Path) -> None:
    run_to_success(page)
    expect(page.get_by_text("chosen_planes", exact=True)).to_be_visible()
    page.screenshot(path=screenshots / "patterns-run.png", full_page=True)


def edit_patterns(page: Page, screenshots: Path) -> None:
    """Exclude one more table under Configuration, and see how many match."""
    page.go_back()
    page.get_by_role("link", name="Configuration").click()
    patterns = page.get_by_label("Patterns", exact=True)
    patterns.fill(f"{patterns.input_value()}\n!*.airports")
    matches = page.get_by_role("region", name="Matching streams")
    expect(matches.get_by_text("airports")).to_have_count(0)
    assert severe_violations(page) == []
    check_widths(page, screenshots, "patterns-configuration")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 2")).to_be_visible()
    name_a_stream(page, screenshots)
    page.emulate_media(color_scheme="dark")
    page.get_by_role("link", name="Versions").click()
    page.screenshot(path=screenshots / "patterns-versions.png", full_page=True)


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
    assert severe_violations(page) == []
    check_widths(page, screenshots, "patterns-table")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 3")).to_be_visible()
    expect(page.get_by_role("heading", name="Streams (2)")).to_be_visible()
