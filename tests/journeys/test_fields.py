"""The fields of a stream and its contract are chosen on the page of its pipeline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_first_page import log_in, open_tab

PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}


@pytest.mark.long
def test_fields_are_chosen_previewed_and_saved(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        (flights,) = client.get("pipelines", params={"q": "Flights to Parquet"}).json()["results"]
        copy = client.post(f"pipelines/{flights['id']}/duplicate", json={"name": "Fewer fields"})
        address = f"{site.url}/pipelines/{copy.raise_for_status().json()['id']}"
    log_in(page, site)
    page.goto(address)
    open_tab(page, "Configuration")
    choose_fields(page, tmp_path)
    save_and_compare(page, tmp_path)
    assert visitor.errors == []


def choose_fields(page: Page, screenshots: Path) -> None:
    page.get_by_role("button", name="Choose, rename or protect fields").click()
    fields = page.get_by_role("region", name="Fields")
    fields.get_by_role("button", name="Add a field").click()
    fields.get_by_label("Field", exact=True).fill("tailnum")
    tail = fields.get_by_role("group", name="tailnum")
    tail.get_by_label("Values").select_option("Hash")
    tail.get_by_label(re.compile("New name")).fill("plane")
    fields.get_by_role("button", name="Add a field").click()
    fields.get_by_label("Field", exact=True).nth(1).fill("flight")
    fields.get_by_role("group", name="flight").get_by_label("Type").select_option("Text")
    fields.get_by_label("Other fields").select_option("Drop, also new ones")
    fields.get_by_role("button", name=re.compile("Preview 10 records")).click()
    table = fields.get_by_role("region", name="Preview of the records")
    expect(table.get_by_role("columnheader")).to_have_text(
        [re.compile("flight"), re.compile("plane")]
    )
    expect(table.get_by_role("cell", name=re.compile("^[0-9a-f]{64}$")).first).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "fields.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=screenshots / "fields-dark.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    width = page.evaluate("document.documentElement.scrollWidth")
    page.screenshot(path=screenshots / "fields-phone.png", full_page=True)
    assert width <= PHONE["width"]
    page.set_viewport_size(DESKTOP)


def save_and_compare(page: Page, screenshots: Path) -> None:
    page.get_by_label("New and changed columns").select_option("Fail the run")
    expect(page.get_by_text("fails the run before anything is published")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(re.compile("Saved as version 2"))).to_be_visible()
    open_tab(page, "Versions")
    page.get_by_role("button", name="Changes of version 2").click()
    expect(page.get_by_text("tailnum: hash, as plane")).to_be_visible()
    expect(page.get_by_text("Fail the run")).to_be_visible()
    page.screenshot(path=screenshots / "fields-versions.png", full_page=True)
