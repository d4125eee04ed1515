"""A user lets the agent copy a whole database in a real browser, and leaves out a stream before the approval."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_agent import ANSWER_TIMEOUT
from tests.journeys.test_first_page import log_in


@pytest.mark.long
def test_a_user_copies_a_whole_database_and_chooses_its_streams(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    log_in(page, site)
    page.keyboard.press("ControlOrMeta+j")
    panel = page.get_by_role("complementary", name="Agent")
    approve_a_whole_database(page, panel, tmp_path)
    leave_out_a_stream(panel, tmp_path)
    assert visitor.errors == []


def ask(panel: Locator, text: str) -> Locator:
    """Send a message, and return the card of the request."""
    panel.get_by_role("textbox", name="Message to the agent").fill(text)
    panel.get_by_role("button", name="Send").click()
    card = panel.get_by_role("region", name="Approval: ").last
    expect(card.get_by_role("button", name="Approve")).to_be_visible(timeout=ANSWER_TIMEOUT)
    return card


def approve_a_whole_database(page: Page, panel: Locator, screenshots: Path) -> None:
    card = ask(panel, "copy the whole Flights database to Parquet files by hand")
    streams = card.get_by_role("list", name="Streams of ")
    expect(streams).to_contain_text("airlines")
    expect(card).to_contain_text("New streams")
    card.scroll_into_view_if_needed()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "whole-database.png")
    card.get_by_role("button", name="Approve").click()
    expect(panel.get_by_text("It is disabled: say").last).to_be_visible(timeout=ANSWER_TIMEOUT)


def leave_out_a_stream(panel: Locator, screenshots: Path) -> None:
    card = ask(panel, "copy airlines and planes from Flights database to Warehouse by hand")
    card.get_by_role("button", name="Edit").click()
    card.get_by_role("checkbox", name="planes").uncheck()
    panel.page.screenshot(path=screenshots / "edit.png")
    card.get_by_role("button", name="Approve with changes").click()
    expect(panel.get_by_text("Created Airlines and planes to").last).to_be_visible(
        timeout=ANSWER_TIMEOUT
    )
