"""A user talks to the agent in a real browser: in the panel, with an approval."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_first_page import log_in

ANSWER_TIMEOUT = 120_000  # milliseconds; a worker imports the agent before its first turn


def test_a_user_asks_the_agent_in_the_panel_and_approves_a_change(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    log_in(page, site)
    ask_in_panel(page, tmp_path)
    resume_after_reload(page)
    use_keyboard(page)
    approve_a_change(page, tmp_path)
    assert visitor.errors == []


def ask_in_panel(page: Page, screenshots: Path) -> None:
    """Open the panel with the keyboard. It says what to try, and answers with what the tool has found."""
    page.keyboard.press("ControlOrMeta+j")
    panel = page.get_by_role("complementary", name="Agent")
    expect(panel.get_by_role("heading", name="What do you want to do?")).to_be_visible()
    message = panel.get_by_role("textbox", name="Message to the agent")
    expect(message).to_be_focused()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "first-steps.png")

    panel.get_by_role("button", name="List pipelines").click()
    expect(message).to_have_value("List pipelines")
    expect(message).to_be_focused()
    page.keyboard.press("Enter")
    call = panel.get_by_role("region", name="Tool: List pipelines")
    expect(call.get_by_text("Succeeded:")).to_be_attached(timeout=ANSWER_TIMEOUT)
    expect(panel.get_by_text("Guided mode, not a language model", exact=True)).to_be_visible()
    expect(panel.get_by_role("status").filter(has_text="The agent answered:")).to_have_count(1)
    call.get_by_text("List pipelines", exact=True).click()
    expect(call.get_by_role("region", name="Result")).to_contain_text("flights")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "answer.png")


def resume_after_reload(page: Page) -> None:
    page.reload()
    panel = page.get_by_role("complementary", name="Agent")
    expect(panel.get_by_role("region", name="Tool: List pipelines")).to_be_visible()


def use_keyboard(page: Page) -> None:
    """Escape closes the panel, and the button in the header opens it with the same conversation."""
    panel = page.get_by_role("complementary", name="Agent")
    panel.get_by_role("textbox", name="Message to the agent").press("Escape")
    expect(panel).to_have_count(0)
    button = page.get_by_role("button", name="Ask the agent")
    button.focus()
    button.press("Enter")
    expect(panel.get_by_role("region", name="Tool: List pipelines")).to_be_visible()
    panel.get_by_role("button", name="Close the agent").click()
    expect(button).to_be_focused()


def approve_a_change(page: Page, screenshots: Path) -> None:
    """The agent shows the exact change. The pipeline changes when the user approves it."""
    page.get_by_role("button", name="Ask the agent").click()
    panel = page.get_by_role("complementary", name="Agent")
    message = panel.get_by_role("textbox", name="Message to the agent")
    message.fill("Disable Airports to DuckDB")
    message.press("Enter")
    approval = panel.get_by_role("region", name=re.compile("^Approval:"))
    approve = approval.get_by_role("button", name="Approve", exact=True)
    expect(approve).to_be_visible(timeout=ANSWER_TIMEOUT)
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "approval.png")
    approve.click()
    expect(approval.get_by_text("Approved", exact=True)).to_be_visible()
    article = panel.get_by_role("article", name="Message 2")
    expect(article.get_by_text("Guided mode, not a language model", exact=True)).to_be_visible(
        timeout=ANSWER_TIMEOUT
    )
    expect(page.get_by_role("main").get_by_text("Disabled")).to_be_visible()
    page.screenshot(path=screenshots / "approved.png")
    panel.get_by_role("button", name="Close the agent").click()
