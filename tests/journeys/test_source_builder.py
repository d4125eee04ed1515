"""A user builds a source from an API document: the agent, the editor and the preview are on one page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.agent.sources.local_api import STYLES, TOKEN, LocalApi, serve
from tests.agent.sources.local_documents import document_of
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.steps import ANSWER_TIMEOUT, log_in

API = LocalApi("bearer", "cursor", STYLES[0], "openapi")
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 800}


@pytest.mark.long
def test_a_user_builds_a_source_with_the_agent_beside_the_editor(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    page.set_viewport_size(DESKTOP)
    log_in(page, site)
    document = tmp_path / "shop.json"
    with serve(API) as base_url:
        document.write_text(document_of(API, base_url))
        begin_with_a_file(page, document)
        approve_the_plan(page)
        preview_with_a_secret(page)
        preview_in_the_editor(page)
        keep_own_changes(page)
        look_at_it_on_a_phone_in_the_dark(page, tmp_path)
        save_it(page)
    delete_it(page)
    assert visitor.errors == []


def agent_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Agent", exact=True)


def begin_with_a_file(page: Page, document: Path) -> None:
    page.get_by_role("link", name="Custom sources").click()
    page.get_by_role("link", name="New custom source").first.click()
    page.get_by_role("link", name="Build it with the agent").click()
    expect(page.get_by_role("heading", name="Which API do you want to read?")).to_be_visible()
    expect(page.get_by_role("button", name="Ask the agent")).to_have_count(0)
    assert severe_violations(page) == []
    page.get_by_label("File with the documentation").set_input_files(document)
    expect(page).to_have_url(re.compile(r"/sources/builder/[0-9a-f-]{36}$"))


def approve_the_plan(page: Page) -> None:
    """The editor shows the code as soon as the agent has generated it."""
    approve = agent_of(page).get_by_role("button", name="Approve", exact=True)
    expect(approve).to_be_visible(timeout=ANSWER_TIMEOUT)
    assert severe_violations(page) == []
    approve.click()
    expect(page.get_by_role("textbox", name="Source code")).to_contain_text("RestSource")
    expect(page.get_by_role("region", name="Code check")).to_contain_text("Valid")


def preview_with_a_secret(page: Page) -> None:
    """The secret is entered in the approval. It is not in the conversation."""
    agent = agent_of(page)
    token = agent.get_by_label("Token")
    expect(token).to_be_visible(timeout=ANSWER_TIMEOUT)
    approve = agent.get_by_role("button", name="Approve", exact=True)
    approve.click()
    expect(agent.get_by_text("Enter a value.")).to_be_visible()
    token.fill(TOKEN)
    assert severe_violations(page) == []
    approve.click()
    read = agent.get_by_role("region", name="Tool: Preview a source")
    expect(read).to_contain_text("Read 10 records", timeout=ANSWER_TIMEOUT)
    page.reload()
    expect(read).to_contain_text("Read 10 records")
    assert TOKEN not in page.content()


def preview_in_the_editor(page: Page) -> None:
    preview = page.get_by_role("tabpanel", name="Preview")
    preview.get_by_label("Token").fill(TOKEN)
    preview.get_by_role("button", name="Preview 20 records").click()
    expect(preview.get_by_role("region", name="Preview of the records")).to_be_visible()
    assert severe_violations(page) == []


def keep_own_changes(page: Page) -> None:
    """A change in the editor stays until the user takes the agent's code again."""
    editor = page.get_by_role("textbox", name="Source code")
    editor.click()
    page.keyboard.press("ControlOrMeta+End")
    page.keyboard.type("# mine")
    expect(page.get_by_text("The editor shows your changes")).to_be_visible()
    expect(agent_of(page).get_by_text("Guided mode does not read the changes")).to_be_visible()
    assert severe_violations(page) == []
    page.get_by_role("button", name="Replace them with the agent's code").click()
    expect(editor).not_to_contain_text("# mine")


def look_at_it_on_a_phone_in_the_dark(page: Page, screenshots: Path) -> None:
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    page.reload()  # so that no transition of colors is under way when the contrast is checked
    expect(agent_of(page).get_by_role("button", name="Approve", exact=True)).to_be_visible()
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "source-builder-phone-agent.png")
    page.get_by_role("button", name="Code and preview").click()
    expect(page.get_by_role("textbox", name="Source code")).to_be_visible()
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "source-builder-phone-code.png")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)


def save_it(page: Page) -> None:
    agent = agent_of(page)
    agent.get_by_role("button", name="Approve", exact=True).click()
    saved = agent.get_by_role("region", name="Tool: Save a source")
    expect(saved).to_contain_text("Saved version 1", timeout=ANSWER_TIMEOUT)
    saved.get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"/sources/[0-9a-f-]{36}$"))
    expect(page.get_by_role("textbox", name="Source code")).to_contain_text("RestSource")


def delete_it(page: Page) -> None:
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    name = dialog.get_by_role("heading").inner_text().removeprefix("Delete ").removesuffix("?")
    dialog.get_by_label(f"Type {name} to confirm").fill(name)
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Custom sources", level=1)).to_be_visible()
