"""A user talks to the agent in a real browser: in the panel, on its own page, and about a failed run.

Approvals: of a change that the agent proposes, and of a request that a program has made over MCP.
"""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.organizations import ask_over_mcp
from tests.journeys.steps import (
    ANSWER_TIMEOUT,
    DESKTOP,
    PHONE,
    create_pipeline,
    log_in,
    start_run,
    wait_for_run,
)

CONVERSATION_ADDRESS = re.compile(r"/agent/[0-9a-f-]{36}$")
TABLET: ViewportSize = {"width": 1024, "height": 768}


@pytest.mark.long
def test_a_user_asks_the_agent_on_every_page_and_approves_what_it_and_a_program_propose(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        run = start_failing_run(client)
        log_in(page, site)
        ask_in_panel(page, tmp_path)
        resume_after_reload(page)
        use_keyboard(page)
        approve_a_change(page, tmp_path)
        go_on_on_the_page_of_the_agent(page, tmp_path)
        rename_and_delete(page)

        wait_for_run(client, run, "failed")
        explain(page, f"{site.url}/runs/{run}", tmp_path)
        jump_to_the_line(page, tmp_path)
        jump_to_the_line_on_a_tablet(page, f"{site.url}/runs/{run}", tmp_path)
        fix_on_a_phone(page, f"{site.url}/runs/{run}", tmp_path)
        page.set_viewport_size(DESKTOP)
        approve_a_request_of_a_program(page, site, client, tmp_path)
    assert visitor.errors == []


def start_failing_run(client: httpx.Client) -> str:
    """Start a run that fails because its records have no primary key, and return its id."""
    rows = client.get("pipelines").json()["results"]
    weather = next(row for row in rows if row["name"] == "Weather to the warehouse")
    config = client.get(f"pipelines/{weather['id']}").json()["config"]
    stream = {"stream": "weather", "table": "broken", "write_mode": "merge", "primary_key": ["no"]}
    pipeline = create_pipeline(client, "Broken weather", {**config, "streams": [stream]})
    return start_run(client, pipeline)


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
    # No message can be sent while the conversation is being loaded.
    expect(panel.get_by_role("region", name="Tool: List pipelines")).to_be_visible()
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
    expect(page.get_by_role("main").get_by_text("Disabled", exact=True)).to_be_visible()
    page.screenshot(path=screenshots / "approved.png")
    panel.get_by_role("button", name="Close the agent").click()


def go_on_on_the_page_of_the_agent(page: Page, screenshots: Path) -> None:
    page.get_by_role("link", name="Agent", exact=True).click()
    conversations = page.get_by_role("navigation", name="Conversations")
    conversations.get_by_role("link", name=re.compile("^List pipelines")).click()
    expect(page).to_have_url(CONVERSATION_ADDRESS)
    expect(page.get_by_role("region", name="Tool: List pipelines").first).to_be_visible()
    message = page.get_by_role("textbox", name="Message to the agent")
    message.fill("Hello")
    message.press("Shift+Enter")
    message.press_sequentially("there")
    expect(message).to_have_value("Hello\nthere")
    message.press("Enter")
    expect(page.get_by_role("article", name="Message 3")).to_contain_text(
        "not a language model", timeout=ANSWER_TIMEOUT
    )
    expect(message).to_have_value("")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "agent-page.png")
    look_at_it_on_a_phone_and_in_the_dark(page, screenshots)


def look_at_it_on_a_phone_and_in_the_dark(page: Page, screenshots: Path) -> None:
    desktop = page.viewport_size
    assert desktop is not None
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    page.reload()  # so that no transition of colors is under way when the contrast is checked
    expect(page.get_by_role("article", name="Message 3")).to_be_visible()
    main = page.get_by_role("navigation", name="Main")
    page.get_by_role("button", name="Menu").click()
    expect(main.get_by_role("link", name="Settings")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(main).to_be_hidden()
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "agent-page-phone-dark.png")
    find_a_conversation_on_a_phone(page, screenshots)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(desktop)


def find_a_conversation_on_a_phone(page: Page, screenshots: Path) -> None:
    """The conversation has the room. The list of conversations replaces it while the user looks for another one."""
    conversation = page.get_by_role("region", name="Conversation", exact=True)
    box = conversation.bounding_box()
    assert box is not None
    assert box["height"] > 0.6 * PHONE["height"]
    conversations = page.get_by_role("navigation", name="Conversations")
    expect(conversations).to_be_hidden()
    button = page.get_by_role("button", name="Conversations")
    button.click()
    expect(conversations.get_by_role("button", name="Rename")).to_be_visible()
    expect(conversation).to_be_hidden()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "conversations-phone-dark.png")
    conversations.get_by_role("link", name=re.compile("^List pipelines")).click()
    expect(conversation).to_be_visible()
    expect(conversations).to_be_hidden()
    expect(button).to_be_focused()


def rename_and_delete(page: Page) -> None:
    conversations = page.get_by_role("navigation", name="Conversations")
    rename = conversations.get_by_role("button", name="Rename")
    rename.click()
    conversations.get_by_label("Name").press("Escape")
    expect(rename).to_be_focused()
    rename.press("Enter")
    conversations.get_by_label("Name").fill("My pipelines")
    conversations.get_by_role("button", name="Save").click()
    expect(conversations.get_by_role("link", name=re.compile("^My pipelines"))).to_be_visible()
    expect(rename).to_be_focused()
    conversations.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Type delete to confirm").fill("delete")
    dialog.get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile("/agent$"))
    expect(page.get_by_role("link", name=re.compile("^My pipelines"))).to_have_count(0)


def explain(page: Page, address: str, screenshots: Path) -> None:
    page.goto(address)
    page.get_by_role("button", name="Explain this failure").click()
    panel = page.get_by_role("complementary", name="Agent")
    call_card = panel.get_by_role("region", name=re.compile("^Tool:")).last
    expect(call_card.get_by_text("Succeeded:")).to_be_attached(timeout=ANSWER_TIMEOUT)
    expect(panel.get_by_role("status").filter(has_text="The agent answered:")).to_have_count(1)
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "explain.png")
    # The page is narrower than the window, and has one column.
    log = page.get_by_role("log").bounding_box()
    details = page.get_by_role("complementary", name="About this run").bounding_box()
    assert log is not None
    assert details is not None
    assert details["y"] > log["y"] + log["height"]


def jump_to_the_line(page: Page, screenshots: Path) -> None:
    follow_a_link_to_the_log(page)
    expect(page.get_by_role("complementary", name="Agent")).to_be_visible()
    page.screenshot(path=screenshots / "log-line.png")


def follow_a_link_to_the_log(page: Page) -> None:
    """A link of the evidence marks the line whose number it names."""
    panel = page.get_by_role("complementary", name="Agent")
    link = panel.get_by_role("link", name=re.compile("^Line [0-9]+ of the log")).first
    number = re.findall("[0-9]+", link.inner_text())[0]
    link.click()
    expect(page).to_have_url(re.compile(rf"\?line={number}$"))
    marked = page.get_by_role("log").locator("[aria-current=location]")
    expect(marked).to_have_count(1)
    expect(marked).to_contain_text(number)
    expect(page.get_by_role("log")).to_be_focused()


def jump_to_the_line_on_a_tablet(page: Page, address: str, screenshots: Path) -> None:
    """The panel lies over the page, which cannot have the focus. A link closes it and shows the page."""
    page.set_viewport_size(TABLET)
    page.goto(address)
    panel = page.get_by_role("complementary", name="Agent")
    expect(panel).to_be_visible()
    expect(page.locator("#main")).to_have_attribute("inert", "")
    expect(page.locator("header").first).to_have_attribute("inert", "")
    page.screenshot(path=screenshots / "panel-tablet.png")
    follow_a_link_to_the_log(page)
    expect(panel).to_have_count(0)
    page.screenshot(path=screenshots / "log-line-tablet.png")


def fix_on_a_phone(page: Page, address: str, screenshots: Path) -> None:
    """The panel covers the page, which cannot have the focus until the panel is closed."""
    page.set_viewport_size(PHONE)
    page.goto(address)
    panel = page.get_by_role("complementary", name="Agent")
    fix = page.get_by_role("button", name="Fix")
    fix.click()
    expect(panel.get_by_text("Fix this run.")).to_be_visible(timeout=ANSWER_TIMEOUT)
    expect(page.locator("#main")).to_have_attribute("inert", "")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "fix-phone.png")
    panel.get_by_role("textbox", name="Message to the agent").press("Escape")
    expect(fix).to_be_focused()


def approve_a_request_of_a_program(
    page: Page, site: Site, client: httpx.Client, screenshots: Path
) -> None:
    """A program asks to enable or disable a pipeline, and collects the result once a person has approved it."""
    body = {"name": "Assistant", "role": "member", "expires_at": None}
    key = client.post("org/api-keys", json=body).raise_for_status().json()["key"]
    (pipeline,) = (
        row for row in client.get("pipelines").json()["results"] if "Airports" in row["name"]
    )
    arguments = {"pipeline_id": pipeline["id"], "enabled": not pipeline["enabled"]}
    request = ask_over_mcp(site, key, "set_pipeline_enabled", arguments)
    approve_in_the_list(page, pipeline["name"], screenshots)
    ask_over_mcp(site, key, "collect_result", {"request_id": request["request_id"]})
    changed = client.get(f"pipelines/{pipeline['id']}").json()
    assert changed["enabled"] is not pipeline["enabled"]


def approve_in_the_list(page: Page, name: str, screenshots: Path) -> None:
    page.get_by_role("link", name="Agent", exact=True).click()
    page.get_by_role("link", name="Requests of programs (MCP)").click()
    requests = page.get_by_role("list", name="Open requests")
    expect(requests).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "requests.png")
    requests.get_by_role("link", name=re.compile(re.escape(name))).click()
    expect(page.get_by_role("region", name="What would change")).to_contain_text("Enabled")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "request.png")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status").filter(has_text="Approved")).to_be_visible()
    page.get_by_role("link", name="Requests of programs").click()
    expect(page.get_by_text("No request waits for you")).to_be_visible()
