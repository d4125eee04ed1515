"""A running Drover with its demo, and a page of a real browser that records errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, Response, sync_playwright

from tests.first_start import FirstStart
from tests.journeys.browser import ARGUMENTS, NoBrowser, find_browser

PATIENCE = 30_000  # milliseconds per step of a journey


@dataclass(frozen=True)
class Site:
    """The URL and the login of Drover, as `make up` reports them."""

    url: str
    email: str
    password: str
    organization: str
    mail: Path  # a folder: there is no mail server


@dataclass
class Visitor:
    """A page and the errors of its console, its scripts and the server."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("response", self._look)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"console {message.type}: {message.text}")

    def _look(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.request.method} {response.url}")


@pytest.fixture
def site(first_start: FirstStart) -> Site:
    """Drover as `make up` runs it."""
    told = first_start.make_up.read_report()
    return Site(
        told["url"],
        told["email"],
        told["password"],
        told["organization"],
        first_start.home / "mail",
    )


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    """A separate browser for each journey: while Playwright runs, its event loop occupies this thread, and Django
    would refuse the database to the next test.
    """
    with sync_playwright() as playwright:
        try:
            path = find_browser(playwright.chromium.executable_path)
        except NoBrowser as missing:
            pytest.fail(str(missing))
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        # without animations: a colour during a fade is not a real colour
        context = browser.new_context(
            viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE)
        visitor = Visitor(context.new_page())
        visitor.listen()
        yield visitor
        browser.close()
