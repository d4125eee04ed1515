"""A window of a stream is read again on the page of its pipeline, with an estimate before and the progress after it."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_first_page import log_in
from tests.journeys.test_pipeline_page import PHONE, run_it

SECONDS = 90


@pytest.mark.long
def test_a_window_is_estimated_and_read_again(site: Site, visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        address = f"{site.url}/pipelines/{create_pipeline(client)}"
        log_in(page, site)
        page.goto(f"{address}/state")
        section = page.get_by_role("region", name="Backfills")
        button = section.get_by_role("button", name="Start a backfill")
        expect(section.get_by_text("The stream has no saved position")).to_be_visible()
        expect(button).to_have_attribute("aria-disabled", "true")
        run_it(page, client)
    page.goto(f"{address}/state")
    button.click()
    estimate_and_start(page, tmp_path)
    expect(section.get_by_text("Succeeded")).to_be_visible(timeout=SECONDS * 1000)
    expect(section.get_by_text(re.compile("1 of 1.run"))).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=tmp_path / "backfills.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=tmp_path / "backfills-dark.png", full_page=True)
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=tmp_path / "backfills-phone.png", full_page=True)
    unexpected = [error for error in visitor.errors if "422" not in error]
    assert unexpected == []


def create_pipeline(client: httpx.Client) -> str:
    """Create a pipeline from the demo's table of flights to DuckDB, and return its id."""
    (flights,) = client.get("pipelines", params={"q": "Flights to Parquet"}).json()["results"]
    source = client.get(f"pipelines/{flights['id']}").json()["config"]["source"]
    stream = {
        "stream": "flights",
        "sync_mode": "incremental",
        "cursor_field": "time_hour",
        "write_mode": "append",
    }
    config = {
        "source": {"connector_id": source["connector_id"]},
        "streams": [stream],
        "destination": {"kind": "duckdb", "config": {}},
    }
    answer = client.post("pipelines", json={"name": "Flights again", "config": config})
    return str(answer.raise_for_status().json()["id"])


def estimate_and_start(page: Page, screenshots: Path) -> None:
    dialog = page.get_by_role("dialog", name="Start a backfill")
    dialog.get_by_label(re.compile("^From")).fill("in spring")
    dialog.get_by_role("button", name="Estimate").click()
    expect(dialog.get_by_text("`from` is not a value of the cursor field")).to_be_visible()
    dialog.get_by_label(re.compile("^From")).fill("2013-03-01")
    dialog.get_by_label(re.compile("^To")).fill("2013-04-01")
    dialog.get_by_role("button", name="Estimate").click()
    expect(dialog.get_by_role("status")).to_have_text(re.compile(r"records in 1.run"))
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "dialog.png")
    page.set_viewport_size(PHONE)
    page.screenshot(path=screenshots / "dialog-phone.png")
    page.set_viewport_size({"width": 1280, "height": 800})
    dialog.get_by_role("button", name="Start backfill").click()
    expect(page.get_by_text("The backfill of flights begins in a few seconds.")).to_be_visible()
