"""A run that rejected a record fails; its page shows the record; with a raised limit a retry publishes the others."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_first_page import log_in, open_tab

PHONE: ViewportSize = {"width": 390, "height": 800}
RUN_SECONDS = 120
# Of ten records two are skipped, and one is rejected.
CODE = "def transform(record):\n    return None if record['id'] < 3 else {} if record['id'] == 3 else record\n"
CONFIG = {
    "source": {"kind": "dummy", "config": {"rows": 10}},
    "streams": [{"stream": "generated", "transforms": [{"kind": "python", "code": CODE}]}],
    "destination": {"kind": "jsonl", "config": {}},
}


@pytest.mark.long
def test_a_rejected_record_is_shown_and_a_raised_limit_publishes_the_others(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        body = {"name": "Rejecting", "config": CONFIG}
        pipeline = client.post("pipelines", json=body).raise_for_status().json()["id"]
        run = client.post(f"pipelines/{pipeline}/run").raise_for_status().json()["id"]
        wait_for(client, run, "failed")
        log_in(page, site)
        look_at_the_records(page, f"{site.url}/runs/{run}", tmp_path)
        raise_the_limit(page, f"{site.url}/pipelines/{pipeline}", tmp_path)
        page.goto(f"{site.url}/runs/{run}")
        page.get_by_role("button", name="Retry").click()
        wait_for(client, run, "succeeded")
        expect(page.get_by_role("heading", name="Outputs")).to_be_visible()
        assert client.get(f"runs/{run}").json()["progress"]["written"] == 7
    assert visitor.errors == []


def wait_for(client: httpx.Client, run: str, status: str) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    while client.get(f"runs/{run}").json()["status"] != status:
        assert time.monotonic() < deadline, client.get(f"runs/{run}").json()
        time.sleep(0.5)


def look_at_the_records(page: Page, address: str, screenshots: Path) -> None:
    page.goto(address)
    section = page.get_by_role("region", name="Records left out")
    expect(section.get_by_text("the record has no fields")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "rejected.png", full_page=True)
    section.get_by_role("button", name="Skipped 2").click()
    expect(section.get_by_text("page 1, record 2")).to_be_visible()
    desktop = page.viewport_size
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=screenshots / "skipped-phone.png", full_page=True)
    assert desktop is not None
    page.set_viewport_size(desktop)


def raise_the_limit(page: Page, address: str, screenshots: Path) -> None:
    page.goto(address)
    open_tab(page, "Configuration")
    limit = page.get_by_label("Rejected records allowed, in percent")
    expect(limit).to_have_value("0")
    limit.fill("10")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "limits.png", full_page=True)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    page.reload()
    expect(limit).to_have_value("10")
