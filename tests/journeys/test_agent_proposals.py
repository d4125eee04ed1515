"""A user edits what the agent proposes: a pipeline, the streams of a whole database, and the plan of a source."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.steps import ANSWER_TIMEOUT, PHONE, log_in

DESKTOP: ViewportSize = {"width": 1440, "height": 900}
REQUEST = "Create a pipeline from Airports file to DuckDB database every day at 6:00 called Edited airports"
RECORDS = {"type": "array", "items": {"properties": {"id": {"type": "integer"}}}}
LISTED: Any = {"responses": {"200": {"schema": RECORDS}}}
SEARCH = {"name": "q", "in": "query", "required": True, "type": "string"}
DOCUMENT = {
    "swagger": "2.0",
    "info": {"title": "Shop"},
    "host": "shop.example",
    "paths": {
        "/orders": {"get": LISTED},
        "/tags": {"get": LISTED},
        "/search": {"get": {**LISTED, "parameters": [SEARCH]}},
    },
}


@pytest.mark.long
def test_a_user_edits_proposals_of_the_agent_and_asks_about_another_page(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    page.set_viewport_size(DESKTOP)
    log_in(page, site)
    edit_a_pipeline(page, tmp_path)
    ask_about_another_page(page, tmp_path)
    approve_a_whole_database(page, tmp_path)
    leave_out_a_stream(page, tmp_path)
    edit_a_plan(page, tmp_path)
    assert visitor.errors == []


def panel_of(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Agent")


def open_approval(area: Locator) -> Locator:
    approval = area.get_by_role("region", name=re.compile("^Approval:")).last
    expect(approval.get_by_role("button", name="Edit")).to_be_visible(timeout=ANSWER_TIMEOUT)
    return approval


def edit_a_pipeline(page: Page, screenshots: Path) -> None:
    """The schedule is text, whose next times the server tells. The JSON has the changes of the form."""
    page.keyboard.press("ControlOrMeta+j")
    message = panel_of(page).get_by_role("textbox", name="Message to the agent")
    message.fill(REQUEST)
    message.press("Enter")
    approval = open_approval(panel_of(page))
    approval.get_by_role("button", name="Edit").click()
    schedule = approval.get_by_label("Schedule")
    expect(schedule).to_have_value("Daily at 06:00 (UTC)")
    schedule.fill("weekdays at 7:30 in Berlin")
    expect(approval.get_by_text("Weekdays at 07:30 (Europe/Berlin). Next runs")).to_be_visible()
    approval.get_by_label("Destination table").fill("edited_airports")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "pipeline-form.png")
    take_dark_phone_screenshot(page, screenshots / "pipeline-form-phone.png", schedule)
    approval.get_by_role("button", name="As JSON").click()
    expect(approval.get_by_label("Arguments")).to_have_value(re.compile("30 7 \\* \\* 1-5"))
    page.screenshot(path=screenshots / "pipeline-json.png")
    approval.get_by_role("button", name="Form").click()
    approval.get_by_role("button", name="Approve with changes").click()
    expect(approval.get_by_text("Approved, with your changes")).to_be_visible()
    expect(approval.get_by_text("edited_airports", exact=True)).to_be_visible()


def take_dark_phone_screenshot(page: Page, screenshot: Path, shown: Locator) -> None:
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    shown.scroll_into_view_if_needed()
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    page.screenshot(path=screenshot)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)


def ask_about_another_page(page: Page, screenshots: Path) -> None:
    """The panel keeps its conversation, and offers requests about the new page in another one."""
    panel = panel_of(page)
    about_page = panel.get_by_role("region", name="About this page")
    expect(about_page).to_have_count(0)
    created = panel.get_by_role("link", name="Edited airports").first
    expect(created).to_be_visible(timeout=ANSWER_TIMEOUT)
    created.click()
    expect(page.get_by_role("heading", name="Edited airports", level=1)).to_be_visible()
    expect(about_page).to_be_visible()
    expect(panel.get_by_text(REQUEST)).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "other-page.png")
    about_page.get_by_role("button", name="Show this pipeline").click()
    answer = panel.get_by_role("article", name="Message 1")
    expect(answer).to_contain_text("Edited airports is disabled.", timeout=ANSWER_TIMEOUT)
    expect(panel.get_by_text(REQUEST)).to_have_count(0)
    expect(about_page).to_have_count(0)
    panel.get_by_role("button", name="New conversation").click()
    expect(panel.get_by_role("button", name="Run this pipeline")).to_be_visible()
    page.screenshot(path=screenshots / "new-conversation.png")


def ask(panel: Locator, text: str) -> Locator:
    """Send a message, and return the card of the request."""
    panel.get_by_role("textbox", name="Message to the agent").fill(text)
    panel.get_by_role("button", name="Send").click()
    card = panel.get_by_role("region", name="Approval: ").last
    expect(card.get_by_role("button", name="Approve", exact=True)).to_be_visible(
        timeout=ANSWER_TIMEOUT
    )
    return card


def approve_a_whole_database(page: Page, screenshots: Path) -> None:
    panel = panel_of(page)
    card = ask(panel, "copy the whole Flights database to Parquet files by hand")
    streams = card.get_by_role("list", name="Streams of ")
    expect(streams).to_contain_text("airlines")
    expect(card).to_contain_text("New streams")
    card.scroll_into_view_if_needed()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "whole-database.png")
    card.get_by_role("button", name="Approve").click()
    expect(panel.get_by_text("It is disabled: say").last).to_be_visible(timeout=ANSWER_TIMEOUT)


def leave_out_a_stream(page: Page, screenshots: Path) -> None:
    panel = panel_of(page)
    card = ask(panel, "copy airlines and planes from Flights database to Warehouse by hand")
    card.get_by_role("button", name="Edit").click()
    card.get_by_role("checkbox", name="planes").uncheck()
    page.screenshot(path=screenshots / "edit.png")
    card.get_by_role("button", name="Approve with changes").click()
    expect(panel.get_by_text("Created Airlines and planes to").last).to_be_visible(
        timeout=ANSWER_TIMEOUT
    )
    panel.get_by_role("button", name="Close the agent").click()


def edit_a_plan(page: Page, screenshots: Path) -> None:
    """The plan says what it leaves out. A stream that is not checked is not generated."""
    document = screenshots / "shop.json"
    document.write_text(json.dumps(DOCUMENT))
    page.get_by_role("link", name="Custom sources").click()
    page.get_by_role("link", name="New custom source").first.click()
    page.get_by_role("link", name="Build it with the agent").click()
    page.get_by_label("File with the documentation").set_input_files(document)
    agent = page.get_by_role("region", name="Agent", exact=True)
    approval = open_approval(agent)
    left_out = agent.get_by_role("listitem").filter(has_text="search was left out")
    expect(left_out).to_be_visible()
    page.screenshot(path=screenshots / "plan.png")
    approval.get_by_role("button", name="Edit").click()
    approval.get_by_role("checkbox", name="tags").uncheck()
    approval.get_by_text("Change it").first.click()
    approval.get_by_label("Cursor field").fill("updated_at")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "plan-form.png")
    take_dark_phone_screenshot(
        page, screenshots / "plan-form-phone.png", approval.get_by_label("Cursor field")
    )
    approval.get_by_role("button", name="Approve with changes").click()
    editor = page.get_by_role("textbox", name="Source code")
    expect(editor).to_contain_text("/orders", timeout=ANSWER_TIMEOUT)
    expect(editor).not_to_contain_text("/tags")
