"""Photograph every page of the dashboard: `make screenshots`, or `python -m tests.screenshots FOLDER`.

It starts a copy of this tree with its demo, and takes one picture for each page, theme, and width. The pictures are for
people to look at; no test compares them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from local.home import CHECKOUT
from tests.first_start import log_in, start_demo
from tests.journeys.browser import ARGUMENTS, find_browser

ROUTER = CHECKOUT / "frontend" / "src" / "router.tsx"
THEMES = ("light", "dark")
SIZES = {360: 780, 1440: 900, 1920: 1080}  # pixels
# What stands for each parameter of an address: the collection of the API whose first object is shown.
PARAMETERS = {
    "$pipelineId": "pipelines",
    "$runId": "runs",
    "$otherId": "runs",
    "$connectorId": "connectors",
    "$sourceId": "custom-sources",
    "$conversationId": "agent/conversations",
    "$requestId": "agent/tool-requests",
}
FORBIDDEN = 403
SIGNED_OUT = ("login", "signup", "forgot-password", "reset-password", "verify-email", "invitation")
REDIRECTING = {"/settings", "/welcome", "/no-access"}
ROUTE = re.compile(r"(\w+) = createRoute\(\{\s*getParentRoute: \(\) => (\w+),\s*path: \"([^\"]*)\"")


def read_addresses() -> list[str]:
    """Return the addresses of all pages in the order of the router, with their parameters."""
    parents: dict[str, str] = {}
    addresses: list[str] = []
    for name, parent, path in ROUTE.findall(ROUTER.read_text()):
        address = "/".join([parents.get(parent, ""), path.strip("/")]).rstrip("/") or "/"
        parents[name] = "" if address == "/" else address
        addresses.append(address.replace("/{-$conversationId}", ""))
    shown = dict.fromkeys(addresses)
    return [address for address in shown if address not in REDIRECTING and address != "/$"]


def read_ids(client: httpx.Client) -> dict[str, str]:
    """Return the id that stands for each parameter, without those that have no object which the user may see."""
    ids = {}
    for parameter, collection in PARAMETERS.items():
        answer = client.get(collection)
        if answer.status_code == FORBIDDEN:
            continue
        results = answer.raise_for_status().json()["results"]
        if results:
            ids[parameter] = results[0]["id"]
    return ids


def fill_parameters(address: str, ids: dict[str, str]) -> str | None:
    """Return the address with ids for its parameters, or None if there is no id for one of them."""
    for parameter, shown in ids.items():
        address = address.replace(parameter, shown)
    return None if "$" in address else address


def is_signed_out(address: str) -> bool:
    """Whether the page is for people who are not logged in."""
    return address.strip("/").split("/")[0] in SIGNED_OUT


def take_all(folder: Path) -> Iterator[Path]:
    """Take the pictures and yield their paths. Raises an error of Playwright if a page does not open."""
    folder.mkdir(parents=True, exist_ok=True)
    with start_demo() as demo, sync_playwright() as playwright:
        report = demo.make_up.read_report()
        with log_in(report) as client:
            ids = read_ids(client)
        addresses = {address: fill_parameters(address, ids) for address in read_addresses()}
        browser = playwright.chromium.launch(
            executable_path=find_browser(playwright.chromium.executable_path), args=list(ARGUMENTS)
        )
        for theme in THEMES:
            for width in SIZES:
                yield from _take(browser, report, addresses, theme, width, folder)
        browser.close()


def _take(
    browser: Browser,
    report: dict[str, str],
    addresses: dict[str, str | None],
    theme: str,
    width: int,
    folder: Path,
) -> Iterator[Path]:
    context = browser.new_context(
        base_url=report["url"],
        viewport={"width": width, "height": SIZES[width]},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    signed_out = [name for name in addresses if is_signed_out(name)]
    for name in signed_out:
        yield _photograph(page, name, addresses[name] or name, theme, width, folder)
    page.goto("/login")
    page.get_by_label("E-mail").fill(report["email"])
    page.get_by_label("Password").fill(report["password"])
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url(lambda url: "/login" not in url)
    for name, address in addresses.items():
        if address is not None and name not in signed_out:
            yield _photograph(page, name, address, theme, width, folder)
    context.close()


def _photograph(page: Page, name: str, address: str, theme: str, width: int, folder: Path) -> Path:
    open_page(page, address)
    file_name = name.strip("/").replace("/", "-").replace("$", "") or "overview"
    path = folder / f"{file_name}-{theme}-{width}.png"
    page.screenshot(path=path, full_page=True)
    return path


def open_page(page: Page, address: str) -> None:
    """Open the page, and wait until it shows its content."""
    page.goto(address)
    page.get_by_role("heading").first.wait_for()
    page.locator("[aria-label=Loading], .skeleton").first.wait_for(state="detached")


if __name__ == "__main__":
    for picture in take_all(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")):
        print(picture, flush=True)
