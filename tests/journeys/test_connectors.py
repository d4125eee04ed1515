"""A user creates a connector, breaks its password, repairs it after a failed run, and deletes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests import database
from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import PASSWORD, SHOP, Site, Visitor, shop_database
from tests.journeys.steps import DESKTOP, PHONE, create_pipeline, log_in, start_run, wait_for_run

CONNECTOR_ADDRESS = re.compile(r"/connectors/[0-9a-f-]{36}(\?field=\w+)?$")
CHECK_TIMEOUT = 60_000  # milliseconds; the first check starts the engine


@pytest.mark.long
def test_a_user_repairs_a_connector_after_a_failed_run(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    with shop_database(), log_in_to_api(vars(site)) as client:
        log_in(page, site)
        connector = create_it(page, tmp_path)
        pipeline = create_pipeline(client, "Orders of the shop", orders_of(connector))
        replace_password(page, "a wrong password")
        save_although_the_test_fails(page, tmp_path)
        run = start_run(client, pipeline)
        wait_for_run(client, run, "failed")
        follow_the_link_of_the_failed_run(page, f"{site.url}/runs/{run}", tmp_path)
        replace_password(page, PASSWORD)
        keep_what_was_typed_when_a_colleague_saves(page, client, connector, tmp_path)
        assert visitor.unexpected_errors(412) == []
        visitor.errors.clear()
        repair_it(page, tmp_path)
        page.goto(f"{site.url}/runs/{run}")
        page.get_by_role("button", name="Retry").click()
        wait_for_run(client, run)
        look_at_it_on_a_phone_in_the_dark(page, f"{site.url}/connectors/{connector}", tmp_path)
        see_that_it_cannot_be_deleted_while_it_is_used(page, tmp_path)
        client.delete(f"pipelines/{pipeline}").raise_for_status()
        delete_it(page)
    assert visitor.errors == []


def create_it(page: Page, screenshots: Path) -> str:
    """Test and save a new connector. Returns its id."""
    server = urlsplit(database.url_of(SHOP))
    page.get_by_role("link", name="Connectors", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="Flights database")).to_contain_text(
        "1 pipeline"
    )
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "connectors.png")
    page.get_by_role("link", name="New connector").click()
    page.get_by_role("button", name=re.compile("^PostgreSQL")).click()
    expect(page.get_by_label("Host")).to_be_focused()
    expect(page.get_by_label("Save as")).to_have_value("PostgreSQL")
    page.get_by_label("Host").fill(server.hostname or "")
    page.get_by_label("Database").fill(SHOP)
    page.get_by_label("User").fill(SHOP)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Port").fill(str(server.port))
    page.get_by_label("Save as").fill(SHOP)
    page.get_by_role("button", name="Test connection").click()
    expect_passed_test(page)
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "new-connector.png", full_page=True)
    page.get_by_role("button", name="Save connector").click()
    expect(page).to_have_url(CONNECTOR_ADDRESS)
    expect(page.get_by_text("No pipeline uses it yet.")).to_be_visible()
    assert severe_violations(page) == []
    return page.url.rpartition("/")[2]


def orders_of(connector: str) -> dict[str, Any]:
    """Return the configuration of a pipeline that reads the orders with this connector."""
    return {
        "source": {"connector_id": connector},
        "streams": [{"stream": "public.orders"}],
        "destination": {"kind": "jsonl", "config": {}},
    }


def settings_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Settings")


def replace_password(page: Page, password: str) -> None:
    settings = settings_of(page)
    settings.get_by_role("button", name="Replace").click()
    settings.get_by_label("Password").fill(password)


def save(page: Page) -> None:
    settings_of(page).get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was saved. The next runs use it.")).to_be_visible()


def save_although_the_test_fails(page: Page, screenshots: Path) -> None:
    settings = settings_of(page)
    settings.get_by_role("button", name="Save", exact=True).click()
    alert = settings.get_by_role("alert").filter(has_text="nothing is saved yet")
    expect(alert).to_be_visible(timeout=CHECK_TIMEOUT)
    expect(settings.get_by_text("What to do: Check the user name and the password")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "failed-test.png", full_page=True)
    alert.get_by_role("button", name="Save anyway").click()
    expect(page.get_by_text("was saved. The next runs use it.")).to_be_visible()
    details = page.get_by_role("region", name="Details")
    expect(details.get_by_text("Not tested")).to_be_visible()


def expect_passed_test(page: Page) -> None:
    steps = page.get_by_role("list", name="Connection test")
    expect(steps).to_be_visible(timeout=CHECK_TIMEOUT)
    expect(steps.get_by_text("failed")).to_have_count(0)


def follow_the_link_of_the_failed_run(page: Page, address: str, screenshots: Path) -> None:
    page.goto(address)
    expect(page.get_by_role("heading", name="Authentication")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "failed.png")
    page.get_by_role("link", name=f"Change the password of {SHOP}").click()
    expect(page).to_have_url(CONNECTOR_ADDRESS)


def keep_what_was_typed_when_a_colleague_saves(
    page: Page, client: httpx.Client, connector: str, screenshots: Path
) -> None:
    """Both change the description. The page shows both values, and what the user has typed stays."""
    settings = settings_of(page)
    settings.get_by_label("Description").fill("Repaired")
    changes = {"description": "Nightly", "name": "Shop"}
    client.patch(f"connectors/{connector}", json=changes).raise_for_status()
    settings.get_by_role("button", name="Save", exact=True).click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Name: Shop")
    expect(alert).to_contain_text("Repaired")
    expect(alert).to_contain_text("Nightly")
    expect(settings.get_by_label("Description")).to_have_value("Repaired")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "conflict.png", full_page=True)
    alert.get_by_role("radio", name=re.compile("^Take theirs")).check()
    alert.get_by_role("button", name="Continue editing").click()
    expect(settings.get_by_label("Name", exact=True)).to_have_value("Shop")
    expect(settings.get_by_label("Description")).to_have_value("Nightly")
    expect(settings.get_by_label("Password")).to_have_value(PASSWORD)


def repair_it(page: Page, screenshots: Path) -> None:
    page.get_by_role("button", name="Test connection").click()
    expect_passed_test(page)
    expect(page.get_by_text("They are not saved yet.")).to_be_visible()
    save(page)
    details = page.get_by_role("region", name="Details")
    expect(details.get_by_text("Passed")).to_be_visible(timeout=CHECK_TIMEOUT)
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "repaired.png", full_page=True)


def look_at_it_on_a_phone_in_the_dark(page: Page, address: str, screenshots: Path) -> None:
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    for name, url in (("connector", address), ("connectors", address.rpartition("/")[0])):
        page.goto(url)
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
        assert severe_violations(page) == []
        page.screenshot(path=screenshots / f"{name}-phone.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)
    page.goto(address)


def see_that_it_cannot_be_deleted_while_it_is_used(page: Page, screenshots: Path) -> None:
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Shop is in use")
    expect(dialog.get_by_role("link", name="Orders of the shop")).to_be_visible()
    expect(dialog.get_by_role("button", name="Delete")).to_have_count(0)
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "in-use.png")
    dialog.get_by_role("button", name="Back").click()


def delete_it(page: Page) -> None:
    page.reload()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete Shop?")
    delete = dialog.get_by_role("button", name="Delete")
    expect(delete).to_have_attribute("aria-disabled", "true")
    dialog.get_by_label("Type Shop to confirm").fill("Shop")
    assert severe_violations(page) == []
    delete.click()
    expect(page.get_by_text("Shop was deleted.")).to_be_visible()
    expect(page.get_by_role("heading", name="Connectors", level=1)).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Flights database")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Nightly")).to_have_count(0)
