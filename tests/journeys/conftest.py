"""Fixtures of the journeys: a running Drover with its demo, and a real browser that records errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, Response, sync_playwright

from tests.first_start import FirstStart
from tests.journeys.browser import ARGUMENTS, NoBrowser, find_browser

STEP_TIMEOUT = 30_000  # milliseconds per step of a journey


@dataclass(frozen=True)
class Site:
    """The URL and the credentials of Drover, from the report of `make up`."""

    url: str
    email: str
    password: str
    organization: str
    mail: Path  # folder with the sent mails, because there is no mail server


@dataclass
class Visitor:
    """A browser page, and the errors of its console, its scripts and its requests."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def record_errors(self) -> None:
        self.page.on("console", self._record_console_message)
        self.page.on("pageerror", lambda error: self.errors.append(f"script: {error}"))
        self.page.on("response", self._record_failed_response)

    def _record_console_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(f"console {message.type}: {message.text}")

    def _record_failed_response(self, response: Response) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status} {response.request.method} {response.url}")


@pytest.fixture
def site(first_start: FirstStart) -> Site:
    """Return the site that `make up` has started."""
    report = first_start.make_up.read_report()
    return Site(
        report["url"],
        report["email"],
        report["password"],
        report["organization"],
        first_start.home / "mail",
    )


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    """Start a separate browser for each journey.

    While Playwright runs, its event loop runs in this thread. Because of it, Django would refuse the next test's queries.
    """
    with sync_playwright() as playwright:
        try:
            path = find_browser(playwright.chromium.executable_path)
        except NoBrowser as missing:
            pytest.fail(str(missing))
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        # Animations are off, because during a fade the check of color contrast would use an intermediate color.
        context = browser.new_context(
            viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
        )
        context.set_default_timeout(STEP_TIMEOUT)
        visitor = Visitor(context.new_page())
        visitor.record_errors()
        yield visitor
        browser.close()
