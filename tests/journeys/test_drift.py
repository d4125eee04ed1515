"""A new column that the contract leaves out is shown on the page of its pipeline; once accepted, it arrives."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_first_page import log_in, open_tab
from tests.journeys.test_left_out import wait_for

PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
FILE = "drifting.csv"
CONFIG = {
    "source": {"kind": "files", "config": {"path": FILE, "stream_name": "places"}},
    "streams": [{"stream": "places", "contract": "drop_columns"}],
    "destination": {"kind": "jsonl", "config": {}},
}


@pytest.mark.long
def test_a_new_column_is_shown_and_accepted(site: Site, visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        upload = client.post("files", params={"name": FILE}, content=b"id,name\n1,Ada\n")
        file = upload.raise_for_status().json()["id"]
        body = {"name": "Drifting", "config": CONFIG, "schedule": "0 6 * * *"}
        pipeline = client.post("pipelines", json=body).raise_for_status().json()["id"]
        run(client, pipeline)
        content = b"id,name,town\n1,Ada,Rome\n2,Bob,Oslo\n"
        client.put(f"files/{file}", content=content).raise_for_status()
        run(client, pipeline)
        log_in(page, site)
        page.goto(f"{site.url}/pipelines/{pipeline}")
        accept_the_column(page, tmp_path)
        config = client.get(f"pipelines/{pipeline}").json()["config"]
        assert config["streams"][0]["fields"]["rules"] == [{"field": "town"}]
        client.delete(f"pipelines/{pipeline}").raise_for_status()
        client.delete(f"files/{file}").raise_for_status()
    assert visitor.errors == []


def run(client: httpx.Client, pipeline: str) -> None:
    started = client.post(f"pipelines/{pipeline}/run").raise_for_status()
    wait_for(client, started.json()["id"], "succeeded")


def accept_the_column(page: Page, screenshots: Path) -> None:
    card = page.get_by_role("region", name="Changes at the source")
    expect(card.get_by_text(re.compile("new column town"))).to_be_visible()
    expect(card.get_by_text("It is left out.")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "drift.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=screenshots / "drift-dark.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=screenshots / "drift-phone.png", full_page=True)
    page.set_viewport_size(DESKTOP)
    card.get_by_role("button", name=re.compile("^Pause schedule: places")).click()
    expect(card.get_by_text(re.compile("Schedule paused by"))).to_be_visible()
    card.get_by_role("button", name=re.compile("^Accept: places")).click()
    expect(card).to_be_hidden()
    open_tab(page, "Versions")
    expect(page.get_by_role("button", name="Changes of version 2")).to_be_visible()
