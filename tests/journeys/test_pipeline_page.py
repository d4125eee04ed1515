"""A pipeline is edited by two people at once, paused, reset, duplicated, restored and deleted on its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import STEP_TIMEOUT, Site, Visitor
from tests.journeys.steps import DESKTOP, PHONE, create_pipeline, log_in, open_tab, run_it

CONFIG = {
    "source": {"kind": "dummy", "config": {"rows": 10}},
    "streams": [{"stream": "generated", "sync_mode": "incremental", "write_mode": "append"}],
    "destination": {"kind": "jsonl", "config": {}},
}


@pytest.mark.long
def test_a_pipeline_is_edited_by_two_people_reset_duplicated_and_deleted(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        address = f"{site.url}/pipelines/{create_pipeline(client, 'Shared', CONFIG)}"
        log_in(page, site)
        page.goto(address)
        run_it(page, client)
        page.goto(address)
        edit_it_together(page, open_second_window(page, site, address), tmp_path)
    schedule_and_pause_it(page, tmp_path)
    restore_a_version(page, tmp_path)
    reset_the_stream_and_restore_its_position(page, tmp_path)
    look_at_it_on_a_phone(page, address, tmp_path)
    duplicate_and_delete_it(page, tmp_path)
    # The browser logs the save that is refused because of a colleague's (412), and the invalid cron expression (422).
    assert visitor.unexpected_errors(412, 422) == []


def open_second_window(page: Page, site: Site, address: str) -> Page:
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    context.set_default_timeout(STEP_TIMEOUT)
    colleague = context.new_page()
    log_in(colleague, site)
    colleague.goto(address)
    return colleague


def edit_it_together(page: Page, colleague: Page, screenshots: Path) -> None:
    """Both change the name; the colleague saves first. Nobody's change is lost."""
    for window in (page, colleague):
        open_tab(window, "Configuration")
        expect(window.get_by_label("Name")).to_have_value("Shared")
    page.get_by_label("Name").fill("Mine")
    page.get_by_label("Destination table").fill("my_table")
    colleague.get_by_label("Name").fill("Theirs")
    colleague.get_by_label(re.compile("^Description")).fill("Written by a colleague")
    save(colleague)
    expect(colleague.get_by_text("Saved.", exact=True)).to_be_visible()
    colleague.context.close()

    save(page)
    conflict = page.get_by_role("alert")
    expect(conflict.get_by_text("Mine", exact=True)).to_be_visible()
    expect(conflict.get_by_text("Theirs", exact=True)).to_be_visible()
    expect(conflict.get_by_text("Description: Written by a colleague")).to_be_visible()
    expect(page.get_by_label("Destination table")).to_have_value("my_table")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "conflict.png", full_page=True)
    conflict.get_by_role("radio", name=re.compile("^Keep yours")).check()
    conflict.get_by_role("button", name="Save the chosen values").click()
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mine")
    expect(page.get_by_label(re.compile("^Description"))).to_have_value("Written by a colleague")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "configuration.png", full_page=True)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def schedule_and_pause_it(page: Page, screenshots: Path) -> None:
    open_tab(page, "Schedule")
    page.get_by_label("Schedule", exact=True).select_option("Custom (cron)")
    page.get_by_label("Cron expression").fill("61 9 * * *")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    page.get_by_label("Cron expression").fill("30 9 * * 1-5")
    times = page.get_by_role("region", name="Next runs")
    expect(times.get_by_role("listitem")).to_have_count(10)
    save(page)
    expect(page.get_by_text("The schedule was saved.")).to_be_visible()
    page.get_by_role("button", name="Pause schedule").click()
    page.get_by_label(re.compile("^Note")).fill("The shop moves")
    page.get_by_role("button", name="Pause schedule").click()
    expect(page.get_by_text("The shop moves")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "schedule.png", full_page=True)
    page.get_by_role("button", name="Resume schedule").click()
    expect(page.get_by_role("button", name="Pause schedule")).to_be_visible()


def restore_a_version(page: Page, screenshots: Path) -> None:
    open_tab(page, "Versions")
    page.get_by_role("button", name="Changes of version 2").click()
    expect(page.get_by_text("my_table")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "versions.png", full_page=True)
    page.get_by_role("button", name="Restore version 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Restore", exact=True).click()
    expect(page.get_by_text("Version 1 was restored as version 3.")).to_be_visible()


def reset_the_stream_and_restore_its_position(page: Page, screenshots: Path) -> None:
    open_tab(page, "State")
    expect(page.get_by_text("10 records written")).to_be_visible()
    page.get_by_role("button", name="Reset stream generated").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset stream").click()
    expect(page.get_by_text("generated was reset.")).to_be_visible()
    expect(page.get_by_text("None: the next run reads all records")).to_be_visible()
    page.get_by_role("button", name="History of generated").click()
    changes = page.get_by_role("list", name="Changes of the position").get_by_role("listitem")
    expect(changes).to_have_count(2)
    expect(changes.first).to_contain_text("Reset by")
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "state.png", full_page=True)
    changes.first.get_by_role("button", name=re.compile("^Restore the position before")).click()
    page.screenshot(path=screenshots / "restore.png")
    page.get_by_role("dialog").get_by_role("button", name="Restore position").click()
    expect(page.get_by_text("continues from the restored position")).to_be_visible()
    expect(changes.first).to_contain_text("Restored by")


def look_at_it_on_a_phone(page: Page, address: str, screenshots: Path) -> None:
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    for tab in ("", "/configuration", "/schedule", "/versions", "/state"):
        page.goto(address + tab)
        expect(page.get_by_role("heading", level=1)).to_have_text("Mine")
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        if tab == "/state":
            page.get_by_role("button", name="History of generated").click()
            expect(page.get_by_text("Changes of the position")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], tab
        assert severe_violations(page) == [], tab
        page.screenshot(path=screenshots / f"phone-{tab.strip('/') or 'runs'}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)


def duplicate_and_delete_it(page: Page, screenshots: Path) -> None:
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Duplicate").click()
    page.get_by_label("Name of the copy").fill("My copy")
    page.get_by_role("button", name="Duplicate", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My copy")
    expect(page.get_by_role("switch", name="Enabled")).not_to_be_checked()

    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Kept:")).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "delete.png")
    expect(dialog.get_by_role("button", name="Delete", exact=True)).to_be_disabled()
    dialog.get_by_label(re.compile("to confirm")).fill("My copy")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("My copy was deleted.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Pipelines")
    expect(page.get_by_role("link", name="Mine", exact=True)).to_be_visible()
