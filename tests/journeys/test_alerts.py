"""A user makes a channel and a rule, is told that a pipeline has failed, and sends the message again."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.alerts.receiver import Receiver, Reply, running_receiver
from tests.first_start import log_in as log_in_to_api
from tests.journeys.conftest import Site, Visitor
from tests.journeys.steps import check_looks, create_pipeline, log_in, start_run, wait_for_run

SECRET = "correct-horse-battery-9f2c"
PIPELINE = "Orders without a table"
FAILING: dict[str, Any] = {
    "source": {"kind": "dummy", "config": {"rows": 10}},
    "streams": [
        {
            "stream": "generated",
            "transforms": [{"kind": "python", "code": "def transform(record):\n    return {}\n"}],
        }
    ],
    "destination": {"kind": "jsonl", "config": {}},
}
RECEIVED_SECONDS = 60


@pytest.mark.long
def test_a_user_is_told_that_a_pipeline_has_failed(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    with running_receiver() as receiver, log_in_to_api(vars(site)) as client:
        log_in(page, site)
        create_a_channel(page, receiver, tmp_path)
        try_the_channel(page, receiver)
        pipeline = create_pipeline(client, PIPELINE, FAILING)
        create_a_rule_on_the_page_of_the_pipeline(
            page, f"{site.url}/pipelines/{pipeline}", tmp_path
        )
        run = start_run(client, pipeline)
        wait_for_run(client, run, "failed")
        wait_for_messages(receiver, 2)
        page.goto(f"{site.url}/runs/{run}")
        expect(section(page, "Alerts")).to_contain_text("Hook")
        snooze_the_alert(page, tmp_path)
        send_it_again(page, receiver, tmp_path)
        look_at_quiet_hours(page, tmp_path)
        change_the_secret(page)
        see_why_a_test_was_refused(page, receiver, tmp_path)
        delete_the_rule_and_the_channel(page)
    assert visitor.unexpected_errors(422) == []


def create_a_channel(page: Page, receiver: Receiver, screenshots: Path) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Alerts").click()
    expect(section(page, "Rules")).to_contain_text("A run fails")
    check_looks(page, screenshots, "rules")
    open_tab(page, "Channels")
    expect(section(page, "Channels")).to_contain_text("the owners of the organization")
    page.get_by_role("button", name="Create a channel").click()
    page.get_by_label("Kind").select_option("Webhook")
    page.get_by_label("Name").fill("Hook")
    page.get_by_label("URL").fill("not a URL")
    page.get_by_label("Secret").fill(SECRET)
    page.get_by_role("button", name="Create channel").click()
    expect(page.get_by_text("Enter an https URL")).to_be_visible()
    check_looks(page, screenshots, "new-channel")
    page.get_by_label("URL").fill(receiver.url)
    page.get_by_role("button", name="Create channel").click()
    expect(row(page, "Hook")).to_contain_text(f"Secret: Set, ends in {SECRET[-4:]}")


def try_the_channel(page: Page, receiver: Receiver) -> None:
    row(page, "Hook").get_by_role("button", name="Test Hook").click()
    expect(row(page, "Hook").get_by_role("status")).to_contain_text("Accepted with status 200: ok")
    (message,) = receiver.messages
    assert message["events"][0]["kind"] == "test"


def create_a_rule_on_the_page_of_the_pipeline(page: Page, url: str, screenshots: Path) -> None:
    page.goto(url)
    alerts = section(page, "Alerts")
    expect(alerts).to_contain_text("A run fails → Owners")
    alerts.get_by_role("link", name="Create a rule for it").click()
    expect(page.get_by_label("Applies to")).to_have_value("pipeline")
    page.get_by_label("An alert opens when").select_option("Several runs fail in a row")
    page.get_by_label("Failed runs in a row").fill("1")
    page.get_by_role("checkbox", name="Hook").check()
    page.get_by_role("button", name="Create rule").click()
    expect(page.locator("input:invalid")).to_have_value("1")
    check_looks(page, screenshots, "new-rule")
    page.get_by_label("An alert opens when").select_option("A run fails")
    page.get_by_role("button", name="Create rule").click()
    expect(row(page, PIPELINE)).to_contain_text("Tells Hook.")


def snooze_the_alert(page: Page, screenshots: Path) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Alerts").click()
    open_tab(page, "Open")
    alert = row(page, PIPELINE).first
    alert.get_by_role("button", name=f"Snooze {PIPELINE}").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("For").select_option("4 hours")
    dialog.get_by_label("Reason").fill("The source is migrated")
    check_looks(page, screenshots, "snooze")
    dialog.get_by_role("button", name="Snooze").click()
    expect(alert).to_contain_text("Snoozed until")
    expect(alert).to_contain_text(": The source is migrated")
    check_looks(page, screenshots, "open-alerts")
    alert.get_by_role("button", name="End snooze").click()
    expect(alert).not_to_contain_text("Snoozed until")


def look_at_quiet_hours(page: Page, screenshots: Path) -> None:
    open_tab(page, "Channels")
    row(page, "Hook").get_by_role("button", name="Edit Hook").click()
    form = page.get_by_role("form", name="Edit Hook")
    form.get_by_label("Messages are sent").select_option("Not in quiet hours")
    expect(form.get_by_role("group", name="Quiet hours 1 begin on")).to_be_visible()
    check_looks(page, screenshots, "quiet-hours")
    form.get_by_label("Messages are sent").select_option("Once a day or week")
    check_looks(page, screenshots, "digest")
    form.get_by_label("Messages are sent").select_option("At once")
    form.get_by_role("button", name="Cancel").click()


def send_it_again(page: Page, receiver: Receiver, screenshots: Path) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Alerts").click()
    open_tab(page, "Deliveries")
    page.get_by_label("Channel").select_option("Hook")
    page.get_by_label("State").select_option("Sent")
    delivered = page.get_by_role("row").filter(has_text=PIPELINE)
    expect(delivered).to_contain_text("Sent")
    check_looks(page, screenshots, "deliveries")
    delivered.get_by_role("button", name=PIPELINE).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text('"kind": "opened"')
    check_looks(page, screenshots, "delivery")
    dialog.get_by_role("button", name="Send again").click()
    wait_for_messages(receiver, 3)
    first, again = receiver.messages[1:]
    assert first["events"] == again["events"]
    expect(delivered).to_have_count(2)


def change_the_secret(page: Page) -> None:
    open_tab(page, "Channels")
    row(page, "Hook").get_by_role("button", name="Edit Hook").click()
    form = page.get_by_role("form", name="Edit Hook")
    form.get_by_role("button", name="Replace").click()
    form.get_by_label("Secret").fill("another-horse-battery-77aa")
    form.get_by_role("button", name="Save").click()
    expect(row(page, "Hook")).to_contain_text("Set, ends in 77aa")


def see_why_a_test_was_refused(page: Page, receiver: Receiver, screenshots: Path) -> None:
    receiver.replies = [Reply(status=410, body=b"gone")]
    row(page, "Hook").get_by_role("button", name="Test Hook").click()
    expect(row(page, "Hook").get_by_role("status")).to_contain_text("410")
    check_looks(page, screenshots, "channels")


def delete_the_rule_and_the_channel(page: Page) -> None:
    page.get_by_role("button", name="Delete Hook").click()
    dialog = page.get_by_role("dialog", name="Delete Hook?")
    dialog.get_by_label("Type Hook to confirm").fill("Hook")
    dialog.get_by_role("button", name="Delete").click()
    expect(row(page, "Hook")).to_have_count(0)
    open_tab(page, "Rules")
    expect(row(page, PIPELINE)).to_contain_text("Nobody is told")
    row(page, PIPELINE).get_by_role("button", name=re.compile("^Delete")).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row(page, PIPELINE)).to_have_count(0)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Alerts").get_by_role("link", name=name).click()


def section(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("main").get_by_role("listitem").filter(has_text=text)


def wait_for_messages(receiver: Receiver, count: int) -> None:
    deadline = time.monotonic() + RECEIVED_SECONDS
    while len(receiver.messages) < count:
        assert time.monotonic() < deadline, receiver.messages
        time.sleep(0.1)
