"""A user uploads, replaces and deletes data files, and reads them with the source Files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.steps import DESKTOP, PHONE, log_in

SLOW_BYTES = 300_000  # bytes per second that the slow connection sends
CHECK_TIMEOUT = 60_000  # milliseconds; the first check starts the engine
DROP_SCRIPT = """(zone, [name, text]) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([text], name));
    for (const type of ["dragover", "drop"])
        zone.dispatchEvent(new DragEvent(type, {dataTransfer, bubbles: true, cancelable: true}));
}"""


@pytest.mark.long
def test_a_user_uploads_replaces_reads_and_deletes_files(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    log_in(page, site)
    page.get_by_role("link", name="Files", exact=True).click()
    expect(page.get_by_role("heading", name="Files", level=1)).to_be_visible()
    see_that_a_file_in_use_cannot_be_deleted(page)
    upload_two_files(page, tmp_path)
    cancel_a_slow_upload(page, tmp_path)
    replace_a_file_of_the_same_name(page, tmp_path)
    look_at_it_on_a_phone_in_the_dark(page, tmp_path)
    read_the_file_with_a_connector(page, tmp_path)
    delete_a_file_with_the_keyboard(page)
    assert visitor.errors == []


def row_of(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has_text=name)


def upload_zone(page: Page) -> Locator:
    return page.get_by_role("region", name="Upload files")


def choose(page: Page, *files: Path) -> None:
    upload_zone(page).locator("input[type=file]").set_input_files(list(files))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def see_that_a_file_in_use_cannot_be_deleted(page: Page) -> None:
    row = row_of(page, "airports.csv")
    expect(row).to_contain_text("Airports file")
    delete = row.get_by_role("button", name="Delete airports.csv")
    expect(delete).to_have_attribute("aria-disabled", "true")
    delete.focus()
    expect(page.get_by_role("tooltip")).to_contain_text("the connector Airports file")


def upload_two_files(page: Page, folder: Path) -> None:
    choose(page, write(folder, "orders-1.csv", "id,total\n1,9.50\n"))
    expect(row_of(page, "orders-1.csv")).to_contain_text("16")
    upload_zone(page).evaluate(DROP_SCRIPT, ["orders-2.csv", "id,total\n2,1.50\n3,7.00\n"])
    expect(row_of(page, "orders-2.csv")).to_contain_text("Not used yet")
    expect(page.get_by_text("orders-2.csv was uploaded.")).to_be_attached()
    assert severe_violations(page) == []
    page.screenshot(path=folder / "files.png")


def cancel_a_slow_upload(page: Page, folder: Path) -> None:
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": SLOW_BYTES})
    choose(page, write(folder, "large.csv", "x" * 12_000_000))
    bar = page.get_by_role("progressbar", name="Upload of large.csv")
    expect(bar).to_have_js_property("max", 12_000_000)
    expect(page.get_by_role("list", name="Uploads")).to_contain_text(
        re.compile(r"[1-9][\d.]*.[kM]B of 12")
    )
    assert severe_violations(page) == []
    page.screenshot(path=folder / "uploading.png")
    page.get_by_role("button", name="Cancel the upload of large.csv").click()
    expect(bar).to_have_count(0)
    network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    page.reload()
    expect(row_of(page, "orders-1.csv")).to_be_visible()
    expect(row_of(page, "large.csv")).to_have_count(0)


def replace_a_file_of_the_same_name(page: Page, folder: Path) -> None:
    choose(page, write(folder, "orders-1.csv", "id,total\n1,9.50\n4,2.25\n5,3.00\n"))
    expect(page.get_by_text("A file with this name exists.")).to_be_visible()
    page.screenshot(path=folder / "exists.png")
    assert severe_violations(page) == []
    page.get_by_role("list", name="Uploads").get_by_role("button", name="Replace").click()
    expect(row_of(page, "orders-1.csv")).to_contain_text("30")


def look_at_it_on_a_phone_in_the_dark(page: Page, folder: Path) -> None:
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    expect(row_of(page, "orders-1.csv")).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    expect(row_of(page, "airports.csv").get_by_text("Airports file").first).to_be_visible()
    expect(row_of(page, "orders-1.csv").get_by_role("button", name="Delete")).to_be_in_viewport()
    assert severe_violations(page) == []
    page.screenshot(path=folder / "phone.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)


def read_the_file_with_a_connector(page: Page, folder: Path) -> None:
    """The form of the source offers the uploaded files and a pattern for several."""
    page.get_by_role("link", name="New pipeline").click()
    page.get_by_role("group", name="New source").get_by_text("Files", exact=True).click()
    path = page.get_by_role("combobox", name="Path")
    expect(path).to_be_focused()
    expect(page.locator("datalist option")).not_to_have_count(0)
    options = path.evaluate("(input) => [...input.list.options].map(({value}) => value)")
    assert {"airports.csv", "orders-1.csv", "orders-2.csv", "orders-*.csv"} <= set(options)
    path.fill("orders-*.csv")
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("2 files")).to_be_visible(timeout=CHECK_TIMEOUT)
    assert severe_violations(page) == []
    page.screenshot(path=folder / "form.png", full_page=True)


def delete_a_file_with_the_keyboard(page: Page) -> None:
    page.get_by_role("link", name="Files", exact=True).click()
    row_of(page, "orders-2.csv").get_by_role("button", name="Delete").press("Enter")
    dialog = page.get_by_role("dialog", name="Delete orders-2.csv?")
    expect(dialog).to_contain_text("cannot be restored")
    dialog.get_by_label("Type orders-2.csv to confirm").fill("orders-2.csv")
    dialog.get_by_role("button", name="Delete").press("Enter")
    expect(page.get_by_text("orders-2.csv was deleted.")).to_be_visible()
    expect(row_of(page, "orders-2.csv")).to_have_count(0)
