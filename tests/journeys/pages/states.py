"""States of pages that an address alone does not open: dialogs, menus, forms, and errors on their fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

PIPELINE = "/pipelines/$pipelineId"
SETTINGS = "/settings"


@dataclass(frozen=True)
class State:
    """How a state is opened on a page, and which answers of the server belong to it."""

    address: str
    open: Callable[[Page], None]
    expected: tuple[int, ...] = ()


def press(*names: str) -> Callable[[Page], None]:
    """Return a function that presses buttons or items of menus, one after the other."""

    def open_state(page: Page) -> None:
        for name in names:
            exact = re.compile(f"^{name}")
            button = page.get_by_role("button", name=exact)
            button.or_(page.get_by_role("menuitem", name=exact)).first.click()

    return open_state


def select_pipelines(page: Page) -> None:
    page.get_by_role("grid", name="Pipelines").get_by_role("checkbox").first.check()
    expect(page.get_by_role("region", name="Selected pipelines")).to_be_visible()


def add_tags(page: Page) -> None:
    select_pipelines(page)
    press("Add tags")(page)


def search_everything(page: Page) -> None:
    page.keyboard.press("ControlOrMeta+k")
    page.get_by_role("combobox", name="Search everything").fill("orders")
    expect(page.get_by_role("option", name=re.compile("Orders of all shops")).first).to_be_visible()


def list_keys(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def open_agent(page: Page) -> None:
    page.get_by_role("button", name="Ask the agent").click()
    expect(page.get_by_role("complementary", name="Agent")).to_be_visible()


def duplicate_with_a_taken_name(page: Page) -> None:
    press("More actions", "Duplicate")(page)
    page.get_by_label("Name of the copy").fill("Rejected orders")
    page.get_by_role("button", name="Duplicate", exact=True).click()
    expect(page.get_by_role("dialog").locator("[aria-invalid=true]")).to_be_visible()


def leave_without_saving(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("Changed")
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link").first.click()
    expect(page.get_by_role("dialog", name="Leave without saving?")).to_be_visible()


def clear_the_name(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("")


def add_streams(page: Page) -> None:
    page.get_by_text("Add or remove streams").click()
    expect(page.get_by_role("checkbox", name="generated")).to_be_visible()


def enter_a_wrong_schedule(page: Page) -> None:
    page.get_by_label("Schedule", exact=True).select_option("Custom (cron)")
    page.get_by_label("Cron expression").fill("61 9 * * *")
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()


def add_blackouts(page: Page) -> None:
    press("Add times of the week", "Add days")(page)
    expect(page.get_by_role("region", name="Blackouts").get_by_role("group")).to_have_count(3)


def enter_a_wrong_blackout(page: Page) -> None:
    press("Add days")(page)
    page.get_by_label("Last day", exact=True).fill("2020-01-01")
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()


def choose_days_of_the_week(page: Page) -> None:
    page.get_by_label("Schedule", exact=True).select_option("Days of the week")
    expect(page.get_by_role("group", name="On", exact=True)).to_be_visible()


def add_a_wrong_call(page: Page) -> None:
    press("Add a call")(page)
    card = page.get_by_role("region", name="After a run")
    card.get_by_label("Name").fill("Report")
    card.get_by_label("URL").fill("no URL")
    card.get_by_label("Secret").fill("short")
    card.get_by_role("button", name="Add", exact=True).click()
    expect(card.locator("[aria-invalid=true]").first).to_be_visible()


def open_new_files(page: Page) -> None:
    grid = page.get_by_role("grid", name="Pipelines")
    grid.get_by_role("link", name="Places of all shops").click()
    tabs = page.get_by_role("navigation", name="Pipeline", exact=True)
    tabs.get_by_role("link", name="Schedule").click()
    card = page.get_by_role("region", name="When new files arrive")
    expect(card.get_by_role("checkbox", name=re.compile("^Files that are there"))).to_be_visible()


def watch_for_files(page: Page) -> None:
    open_new_files(page)
    card = page.get_by_role("region", name="When new files arrive")
    card.get_by_role("switch").click()
    card.get_by_label("Minutes between looks").fill("0")
    card.get_by_role("button", name="Save").click()
    expect(card.locator("[aria-invalid=true]")).to_be_visible()


def enter_a_wrong_position(page: Page) -> None:
    press("Edit position")(page)
    page.get_by_label("Position (JSON)").fill("not JSON")


def open_a_value(page: Page) -> None:
    page.get_by_role("grid").get_by_role("gridcell").first.click()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()


def search_the_log(page: Page) -> None:
    page.get_by_role("searchbox").fill("record")


def save_an_empty_connector(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^PostgreSQL")).click()
    page.get_by_role("button", name="Save connector").click()
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()


def begin_a_pipeline(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^PostgreSQL")).click()
    expect(page.get_by_label("Host")).to_be_visible()


def create_a_key(page: Page) -> None:
    page.get_by_label("Name", exact=True).first.fill("Loader")
    page.get_by_role("button", name="Create key").first.click()
    expect(page.get_by_text("shown only once")).to_be_visible()


def add_a_taken_domain(page: Page) -> None:
    page.get_by_label("New domain").fill("Marketing")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("[aria-invalid=true]")).to_be_visible()


def enter_a_wrong_password(page: Page) -> None:
    page.get_by_label("Current password").first.fill("wrong")
    page.get_by_role("button", name="Set up").click()
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()


def show_permissions(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^View permissions")).first.click()
    expect(page.get_by_text("Allowed for the role").first).to_be_visible()


def try_a_channel(page: Page) -> None:
    press("Test")(page)
    expect(page.get_by_role("status").get_by_text("Test message")).to_be_visible()


def open_a_delivery(page: Page) -> None:
    page.get_by_role("button", name=re.compile("has failed after")).first.click()
    expect(page.get_by_role("dialog").get_by_label("Event as JSON")).to_be_visible()


def snooze_until_a_time(page: Page) -> None:
    press("Snooze")(page)
    page.get_by_role("dialog").get_by_label("For").select_option("Until…")


def edit_quiet_hours(page: Page) -> None:
    press("Edit")(page)
    page.get_by_label("Messages are sent").select_option("Not in quiet hours")
    press("Add quiet hours")(page)


def edit_a_digest(page: Page) -> None:
    press("Edit")(page)
    page.get_by_label("Messages are sent").select_option("Once a day or week")
    expect(page.get_by_role("group", name="Days of the digest")).to_be_visible()


def preview_freshness(page: Page) -> None:
    press("Preview")(page)
    expect(page.get_by_role("list", name="Incidents")).to_be_visible()


def open_changes(page: Page) -> None:
    page.get_by_role("button", name="Settings of version 1").click()


STATES = {
    "menu of the user": State("/", press("Account of")),
    "search everything": State("/", search_everything),
    "keys": State("/", list_keys),
    "selected pipelines": State("/pipelines", select_pipelines),
    "tags of selected pipelines": State("/pipelines", add_tags),
    "menu of a view": State("/pipelines", press("Change the view")),
    "renamed view": State("/pipelines", press("Change the view", "Rename")),
    "new view": State("/pipelines?q=orders", press("Save view")),
    "no pipeline found": State("/pipelines?q=nothing", lambda page: None),
    "duplicate": State(PIPELINE, press("More actions", "Duplicate")),
    "taken name": State(PIPELINE, duplicate_with_a_taken_name, (409, 422)),
    "deletion of a pipeline": State(PIPELINE, press("More actions", "Delete")),
    "changed configuration": State(f"{PIPELINE}/configuration", clear_the_name),
    "leave without saving": State(f"{PIPELINE}/configuration", leave_without_saving),
    "add streams": State(f"{PIPELINE}/configuration", add_streams),
    "wrong schedule": State(f"{PIPELINE}/schedule", enter_a_wrong_schedule, (422,)),
    "days of the week": State(f"{PIPELINE}/schedule", choose_days_of_the_week),
    "blackouts": State(f"{PIPELINE}/schedule", add_blackouts),
    "wrong blackout": State(f"{PIPELINE}/schedule", enter_a_wrong_blackout, (422,)),
    "wrong call after a run": State(f"{PIPELINE}/schedule", add_a_wrong_call, (422,)),
    "deletion of a call after a run": State(f"{PIPELINE}/schedule", press("Delete Report")),
    "new files": State("/pipelines?q=Places", open_new_files),
    "watched files": State("/pipelines?q=Places", watch_for_files, (422,)),
    "pause of the schedule": State(f"{PIPELINE}/schedule", press("Pause schedule")),
    "settings of a version": State(f"{PIPELINE}/versions", open_changes),
    "history of a position": State(f"{PIPELINE}/state", press("History")),
    "reset of a stream": State(f"{PIPELINE}/state", press("Reset stream")),
    "wrong position": State(f"{PIPELINE}/state", enter_a_wrong_position),
    "a value": State(f"{PIPELINE}/data", open_a_value),
    "search in the log": State("/runs/$runId", search_the_log),
    "empty connector": State("/connectors/new", save_an_empty_connector),
    "deletion of a connector": State("/connectors/$connectorId", press("Delete")),
    "new pipeline": State("/pipelines/new", begin_a_pipeline),
    "new rule": State("/alerts", press("Create a rule")),
    "edited rule": State("/alerts", press("Edit")),
    "deletion of a rule": State("/alerts", press("Delete")),
    "snooze of a rule": State("/alerts", snooze_until_a_time),
    "snooze of an open alert": State("/alerts/open", snooze_until_a_time),
    "quiet hours": State("/alerts/channels", edit_quiet_hours),
    "digest": State("/alerts/channels", edit_a_digest),
    "new channel": State("/alerts/channels", press("Create a channel")),
    "edited channel": State("/alerts/channels", press("Edit")),
    "tested channel": State("/alerts/channels", try_a_channel),
    "deletion of a channel": State("/alerts/channels", press("Delete")),
    "a delivery": State("/alerts/deliveries", open_a_delivery),
    "deletion of a file": State("/files", press("Delete unused.csv")),
    "deletion of a custom source": State("/sources/$sourceId", press("Delete")),
    "new repository": State("/sources/repositories", press("Connect a repository")),
    "deletion of a conversation": State("/agent/$conversationId", press("Delete")),
    "new freshness page": State("/alerts/freshness-pages", press("Create a page")),
    "edited freshness page": State("/alerts/freshness-pages", press("Edit")),
    "preview of a freshness page": State("/alerts/freshness-pages", preview_freshness),
    "renewal of a link": State("/alerts/freshness-pages", press("Renew link")),
    "deletion of a freshness page": State("/alerts/freshness-pages", press("Delete")),
    "taken domain": State(f"{SETTINGS}/domains", add_a_taken_domain, (409, 422)),
    "transfer of ownership": State(f"{SETTINGS}/organization", press("Transfer")),
    "roles of a domain": State(f"{SETTINGS}/domains", press("Domain roles")),
    "deletion of a domain": State(f"{SETTINGS}/domains", press("Delete")),
    "permissions of a member": State(f"{SETTINGS}/members", show_permissions),
    "removal of a member": State(f"{SETTINGS}/members", press("Remove")),
    "new API key": State(f"{SETTINGS}/api-keys", create_a_key),
    "wrong password": State(f"{SETTINGS}/security", enter_a_wrong_password, (422,)),
    "unknown address": State("/nothing-is-here", lambda page: None),
    # The last one, because the panel stays open.
    "agent beside a page": State("/pipelines", open_agent),
}
