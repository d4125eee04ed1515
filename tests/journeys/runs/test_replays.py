"""The rejected records of a run are sent again on its page, after the transform was corrected."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_first_page import log_in
from tests.journeys.test_pipeline_page import PHONE

SECONDS = 120
REJECTING = "def transform(record):\n    return {} if record['id'] % 100 == 0 else record\n"
REPAIRED = "def transform(record):\n    return record\n"


@pytest.mark.long
def test_rejected_records_are_sent_again(site: Site, visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        pipeline = create_pipeline(client)
        run = client.post(f"pipelines/{pipeline}/run", json={}).raise_for_status().json()["id"]
        assert wait_for(client, run)["progress"]["rejected"] == 10
        transforms = [{"kind": "python", "code": REPAIRED}]
        change = {"config": {"streams": [{"transforms": transforms}]}}
        client.patch(f"pipelines/{pipeline}", json=change).raise_for_status()
    log_in(page, site)
    page.goto(f"{site.url}/runs/{run}")
    section = page.get_by_role("region", name="Send rejected records again")
    expect(section.get_by_text(re.compile("^10.records$"))).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=tmp_path / "rejected.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=tmp_path / "rejected-dark.png", full_page=True)
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=tmp_path / "rejected-phone.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 800})

    section.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("link", name="Rejected records of a run")).to_be_visible()
    heading = page.get_by_role("heading", level=1)
    expect(heading.get_by_text("Succeeded")).to_be_visible(timeout=SECONDS * 1000)
    page.screenshot(path=tmp_path / "replay.png", full_page=True)
    page.goto(f"{site.url}/runs/{run}")
    expect(section.get_by_text("The records were sent again before.")).to_be_visible()
    section.get_by_role("link", name="Open that run").click()
    expect(page.get_by_role("link", name="Rejected records of a run")).to_be_visible()
    assert visitor.errors == []


def create_pipeline(client: httpx.Client) -> str:
    """Create an incremental pipeline that rejects every hundredth record, and return its id."""
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
    answer = client.post("pipelines", json={"name": "Rejected and sent again", "config": config})
    return str(answer.raise_for_status().json()["id"])


def wait_for(client: httpx.Client, run: str) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while True:
        shown: dict[str, Any] = client.get(f"runs/{run}").json()
        if shown["status"] in {"succeeded", "failed"}:
            assert shown["status"] == "succeeded", shown["failure"]
            return shown
        assert time.monotonic() < deadline, "the run has not ended"
        time.sleep(0.5)
