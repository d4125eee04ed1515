"""Records are read or sent again: a window of a stream, and records that a transform had rejected."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.steps import (
    DESKTOP,
    PHONE,
    RUN_TIMEOUT,
    check_looks,
    create_pipeline,
    log_in,
    run_it,
    start_run,
    wait_for_run,
)

# Every hundredth record is rejected.
REJECTING = "def transform(record):\n    return {} if record['id'] % 100 == 0 else record\n"
REPAIRED = "def transform(record):\n    return record\n"


@pytest.mark.long
def test_a_window_is_read_again_and_rejected_records_are_sent_again(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        rejecting = create_rejecting_pipeline(client)
        rejecting_run = start_run(client, rejecting)
        address = f"{site.url}/pipelines/{copy_flights_again(client)}/state"
        log_in(page, site)
        see_that_nothing_can_be_read_again(page, address)
        run_it(page, client)
        page.goto(address)
        estimate_and_start(page, tmp_path)
        # The browser logs the answer to the invalid start of the window.
        assert visitor.unexpected_errors(422) == []
        visitor.errors.clear()
        see_the_backfill_succeed(page, tmp_path)
        repair_transform(client, rejecting, rejecting_run)
        send_rejected_records_again(page, f"{site.url}/runs/{rejecting_run}", tmp_path)
    assert visitor.errors == []


def copy_flights_again(client: httpx.Client) -> str:
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
    return create_pipeline(client, "Flights again", config)


def create_rejecting_pipeline(client: httpx.Client) -> str:
    stream = {
        "stream": "generated",
        "sync_mode": "incremental",
        "write_mode": "append",
        "transforms": [{"kind": "python", "code": REJECTING}],
        "max_rejected_share": 0.5,
    }
    config = {
        "source": {"kind": "dummy", "config": {"rows": 1000}},
        "streams": [stream],
        "destination": {"kind": "duckdb", "config": {}},
    }
    return create_pipeline(client, "Rejected and sent again", config)


def see_that_nothing_can_be_read_again(page: Page, address: str) -> None:
    page.goto(address)
    section = page.get_by_role("region", name="Backfills")
    expect(section.get_by_text("The stream has no saved position")).to_be_visible()
    start = section.get_by_role("button", name="Start a backfill")
    expect(start).to_have_attribute("aria-disabled", "true")


def estimate_and_start(page: Page, screenshots: Path) -> None:
    page.get_by_role("button", name="Start a backfill").click()
    dialog = page.get_by_role("dialog", name="Start a backfill")
    dialog.get_by_label(re.compile("^From")).fill("in spring")
    dialog.get_by_role("button", name="Estimate").click()
    expect(dialog.get_by_text("is not a value of the cursor field")).to_be_visible()
    dialog.get_by_label(re.compile("^From")).fill("2013-03-01")
    dialog.get_by_label(re.compile("^To")).fill("2013-04-01")
    dialog.get_by_role("button", name="Estimate").click()
    expect(dialog.get_by_role("status")).to_have_text(re.compile(r"records in 1.run"))
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "dialog.png")
    page.set_viewport_size(PHONE)
    page.screenshot(path=screenshots / "dialog-phone.png")
    page.set_viewport_size(DESKTOP)
    dialog.get_by_role("button", name="Start backfill").click()
    expect(page.get_by_text("The backfill of flights begins in a few seconds.")).to_be_visible()


def see_the_backfill_succeed(page: Page, screenshots: Path) -> None:
    section = page.get_by_role("region", name="Backfills")
    expect(section.get_by_text("Succeeded")).to_be_visible(timeout=RUN_TIMEOUT)
    expect(section.get_by_text(re.compile("1 of 1.run"))).to_be_visible()
    check_looks(page, screenshots, "backfills")


def repair_transform(client: httpx.Client, pipeline: str, run: str) -> None:
    """Let the transform reject nothing, once the run has rejected its records."""
    assert wait_for_run(client, run)["progress"]["rejected"] == 10
    transforms = [{"kind": "python", "code": REPAIRED}]
    change = {"config": {"streams": [{"transforms": transforms}]}}
    client.patch(f"pipelines/{pipeline}", json=change).raise_for_status()


def send_rejected_records_again(page: Page, address: str, screenshots: Path) -> None:
    page.goto(address)
    section = page.get_by_role("region", name="Send rejected records again")
    expect(section.get_by_text(re.compile("^10.records$"))).to_be_visible()
    check_looks(page, screenshots, "rejected")
    section.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("link", name="Rejected records of a run")).to_be_visible()
    heading = page.get_by_role("heading", level=1)
    expect(heading.get_by_text("Succeeded")).to_be_visible(timeout=RUN_TIMEOUT)
    page.screenshot(path=screenshots / "replay.png", full_page=True)
    page.goto(address)
    expect(section.get_by_text("The records were sent again before.")).to_be_visible()
    section.get_by_role("link", name="Open that run").click()
    expect(page.get_by_role("link", name="Rejected records of a run")).to_be_visible()
