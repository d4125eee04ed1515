"""A real browser that is logged in, and notes how far things move on its pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.journeys.browser import ARGUMENTS, find_browser

# Note how far things move without a person, and how long each frame takes. Moves with less than a second between them are added
# up, for five seconds at most, and the greatest sum counts. See web.dev/articles/cls.
OBSERVER = """
window.moved = 0; window.frames = [];
let sum = 0, first = -Infinity, latest = -Infinity;
new PerformanceObserver(list => {
  for (const { hadRecentInput, value, startTime } of list.getEntries()) {
    if (hadRecentInput) continue;
    if (startTime - latest >= 1000 || startTime - first >= 5000) { sum = 0; first = startTime; }
    latest = startTime; sum += value; window.moved = Math.max(window.moved, sum);
  }
}).observe({type: "layout-shift", buffered: true});
let last = performance.now();
(function frame() { const now = performance.now(); window.frames.push(now - last); last = now; requestAnimationFrame(frame); })();
"""


@contextmanager
def logged_in_page(address: str, login: Mapping[str, Any]) -> Iterator[Page]:
    """Start a browser, log in with the address and the password, and disable the browser's cache."""
    with sync_playwright() as playwright:
        path = find_browser(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        page = browser.new_page(base_url=address, viewport={"width": 1440, "height": 900})
        page.goto("/login")
        page.get_by_label("E-mail").fill(login["email"])
        page.get_by_label("Password").fill(login["password"])
        page.get_by_role("button", name="Log in", exact=True).click()
        page.wait_for_url(lambda url: "/login" not in url)
        page.add_init_script(OBSERVER)
        session = page.context.new_cdp_session(page)
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        yield page
        browser.close()
