"""Two admins change the limits of the organization at once. Nobody's change is lost."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_first_page import log_in

PHONE: ViewportSize = {"width": 360, "height": 740}
LIMITS = ("max_running", "max_pipelines", "max_members")


@pytest.mark.long
def test_two_admins_change_the_limits_at_once(site: Site, visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        before = {name: read_organization(client)[name] for name in LIMITS}
        try:
            log_in(page, site)
            page.goto(f"{site.url}/settings/organization")
            choose_between_both(page, client, tmp_path)
            organization = read_organization(client)
            assert [organization[name] for name in LIMITS] == [7, 300, 70]
        finally:
            client.patch("org", json=before).raise_for_status()
    # The browser logs the save that is refused because of the colleague's.
    assert [error for error in visitor.errors if "412" not in error] == []


def read_organization(client: httpx.Client) -> dict[str, object]:
    organization: dict[str, object] = client.get("org").raise_for_status().json()
    return organization


def choose_between_both(page: Page, client: httpx.Client, screenshots: Path) -> None:
    limits = page.get_by_role("region", name="Limits")
    limits.get_by_label("Concurrent runs").fill("6")
    limits.get_by_label("Pipelines").fill("300")
    changes = {"max_running": 7, "max_members": 70}
    client.patch("org", json=changes).raise_for_status()
    limits.get_by_role("button", name="Save limits").click()
    conflict = limits.get_by_role("alert")
    expect(conflict).to_be_focused()
    expect(conflict.get_by_text("Members, including invited ones: 70")).to_be_visible()
    expect(limits.get_by_label("Pipelines")).to_have_value("300")
    look_at_it(page, screenshots)
    conflict.get_by_role("radio", name=re.compile("^Take theirs")).check()
    conflict.get_by_role("button", name="Save the chosen values").click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    expect(limits.get_by_label("Concurrent runs")).to_have_value("7")
    expect(limits.get_by_role("alert")).to_have_count(0)


def look_at_it(page: Page, screenshots: Path) -> None:
    desktop = page.viewport_size
    assert desktop is not None
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "conflict.png")
    page.set_viewport_size(PHONE)
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("region", name="Limits").get_by_role("alert").scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "conflict-phone.png")
    page.set_viewport_size(desktop)
