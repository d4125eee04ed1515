"""What a pipeline keeps of its records: fields that are chosen, records that are left out, new columns of the source."""

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
    check_looks,
    create_pipeline,
    log_in,
    look_on_a_phone,
    open_tab,
    start_run,
    wait_for_run,
)

# Of ten records two are skipped, and one is rejected.
CODE = "def transform(record):\n    return None if record['id'] < 3 else {} if record['id'] == 3 else record\n"
REJECTING = {
    "source": {"kind": "dummy", "config": {"rows": 10}},
    "streams": [{"stream": "generated", "transforms": [{"kind": "python", "code": CODE}]}],
    "destination": {"kind": "jsonl", "config": {}},
}
FILE = "drifting.csv"
DRIFTING = {
    "source": {"kind": "files", "config": {"path": FILE, "stream_name": "places"}},
    "streams": [{"stream": "places", "contract": "drop_columns"}],
    "destination": {"kind": "jsonl", "config": {}},
}


@pytest.mark.long
def test_fields_are_chosen_rejected_records_are_shown_and_a_new_column_is_accepted(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        # These run while the fields of another pipeline are chosen.
        file = upload_places(client, b"id,name\n1,Ada\n")
        drifting = create_pipeline(client, "Drifting", DRIFTING, schedule="0 6 * * *")
        first_run = start_run(client, drifting)
        rejecting = create_pipeline(client, "Rejecting", REJECTING)
        failing_run = start_run(client, rejecting)
        log_in(page, site)
        page.goto(f"{site.url}/pipelines/{duplicate_flights(client)}")
        open_tab(page, "Configuration")
        choose_fields(page, tmp_path)
        save_and_compare(page, tmp_path)

        wait_for_run(client, first_run)
        content = b"id,name,town\n1,Ada,Rome\n2,Bob,Oslo\n"
        client.put(f"files/{file}", content=content).raise_for_status()
        second_run = start_run(client, drifting)

        wait_for_run(client, failing_run, "failed")
        look_at_the_records(page, f"{site.url}/runs/{failing_run}", tmp_path)
        raise_the_limit(page, f"{site.url}/pipelines/{rejecting}", tmp_path)
        page.goto(f"{site.url}/runs/{failing_run}")
        page.get_by_role("button", name="Retry").click()
        assert wait_for_run(client, failing_run)["progress"]["written"] == 7
        expect(page.get_by_role("heading", name="Outputs")).to_be_visible()

        wait_for_run(client, second_run)
        page.goto(f"{site.url}/pipelines/{drifting}")
        accept_the_column(page, tmp_path)
        config = client.get(f"pipelines/{drifting}").json()["config"]
        assert config["streams"][0]["fields"]["rules"] == [{"field": "town"}]
    assert visitor.errors == []


def upload_places(client: httpx.Client, content: bytes) -> str:
    """Upload the file of the drifting pipeline, and return its id."""
    upload = client.post("files", params={"name": FILE}, content=content)
    return str(upload.raise_for_status().json()["id"])


def duplicate_flights(client: httpx.Client) -> str:
    """Duplicate a pipeline of the demo, and return the id of the copy."""
    (flights,) = client.get("pipelines", params={"q": "Flights to Parquet"}).json()["results"]
    copy = client.post(f"pipelines/{flights['id']}/duplicate", json={"name": "Fewer fields"})
    return str(copy.raise_for_status().json()["id"])


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
    check_looks(page, screenshots, "fields")


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


def look_at_the_records(page: Page, address: str, screenshots: Path) -> None:
    page.goto(address)
    section = page.get_by_role("region", name="Records left out")
    expect(section.get_by_text("the record has no fields")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "rejected.png", full_page=True)
    section.get_by_role("button", name="Skipped 2").click()
    expect(section.get_by_text("page 1, record 2")).to_be_visible()
    look_on_a_phone(page, screenshots / "skipped-phone.png")


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


def accept_the_column(page: Page, screenshots: Path) -> None:
    card = page.get_by_role("region", name="Changes at the source")
    expect(card.get_by_text(re.compile("new column town"))).to_be_visible()
    expect(card.get_by_text("It is left out.")).to_be_visible()
    check_looks(page, screenshots, "drift")
    card.get_by_role("button", name=re.compile("^Pause schedule: places")).click()
    expect(card.get_by_text(re.compile("Schedule paused by"))).to_be_visible()
    card.get_by_role("button", name=re.compile("^Accept: places")).click()
    expect(card).to_be_hidden()
    open_tab(page, "Versions")
    expect(page.get_by_role("button", name="Changes of version 2")).to_be_visible()
