"""Ways to the agent and from it: a failed run, a line of its log, and requests of programs over MCP."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.agent.mcp.programs import call
from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.test_first_page import log_in

TABLET: ViewportSize = {"width": 1024, "height": 768}
PHONE: ViewportSize = {"width": 390, "height": 800}
ANSWER_TIMEOUT = 120_000  # milliseconds; a worker imports the agent before its first turn
RUN_SECONDS = 120


@pytest.mark.long
def test_a_failed_run_is_explained_with_links_to_lines_of_its_log(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        run = make_failed_run(client)
        log_in(page, site)
        explain(page, f"{site.url}/runs/{run}", tmp_path)
        jump_to_the_line(page, tmp_path)
        jump_to_the_line_on_a_tablet(page, f"{site.url}/runs/{run}", tmp_path)
        fix_on_a_phone(page, f"{site.url}/runs/{run}", tmp_path)
    assert visitor.errors == []


def make_failed_run(client: httpx.Client) -> str:
    """Return the id of a run that fails because its records have no primary key."""
    rows = client.get("pipelines").json()["results"]
    weather = next(row for row in rows if row["name"] == "Weather to the warehouse")
    config = client.get(f"pipelines/{weather['id']}").json()["config"]
    stream = {"stream": "weather", "table": "broken", "write_mode": "merge", "primary_key": ["no"]}
    body = {"name": "Broken weather", "config": {**config, "streams": [stream]}}
    pipeline: str = client.post("pipelines", json=body).raise_for_status().json()["id"]
    run: str = client.post(f"pipelines/{pipeline}/run").raise_for_status().json()["id"]
    deadline = time.monotonic() + RUN_SECONDS
    while client.get(f"runs/{run}").json()["status"] != "failed":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return run


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


@pytest.mark.long
def test_a_person_approves_what_a_program_has_asked_for(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        body = {"name": "Assistant", "role": "member", "expires_at": None}
        key = client.post("org/api-keys", json=body).raise_for_status().json()
        (pipeline,) = (
            row for row in client.get("pipelines").json()["results"] if "Airports" in row["name"]
        )
        arguments = {"pipeline_id": pipeline["id"], "enabled": not pipeline["enabled"]}
        request = ask(site, key["key"], "set_pipeline_enabled", arguments)
        log_in(page, site)
        approve_in_the_list(page, pipeline["name"], tmp_path)
        ask(site, key["key"], "collect_result", {"request_id": request["request_id"]})
        changed = client.get(f"pipelines/{pipeline['id']}").json()
        assert changed["enabled"] is not pipeline["enabled"]
    assert visitor.errors == []


def ask(site: Site, key: str, tool: str, arguments: dict[str, Any]) -> Any:
    """Call a tool over MCP, in a thread of its own, because the loop of Playwright runs in this thread."""
    program: Any = SimpleNamespace(text=key)
    with ThreadPoolExecutor(1) as threads:
        ok, answer = threads.submit(call, site.url, program, tool, **arguments).result()
    assert ok, answer
    return answer


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
