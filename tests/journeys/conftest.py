"""A running Drover with its demo, and a page of a real browser that remembers what went wrong in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, Response, sync_playwright

from tests.first_start import FirstStart
from tests.journeys.browser import ARGUMENTS, NoBrowser, find_browser

PATIENCE = 30_000  # milliseconds a step of a journey may take


@dataclass(frozen=True)
class Site:
    """Where Drover answers and who may log in, as `make up` reports it."""

    url: str
    email: str
    password: str
    organization: str
    mail: Path  # a folder: there is no mail server


@dataclass
class Visitor:
    """A page and what its console, its scripts and the server complained about."""

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
    """The product as `make up` runs it."""
    told = first_start.up.told()
    return Site(
        told["url"],
        told["email"],
        told["password"],
        told["organization"],
        first_start.home / "mail",
    )


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    """A browser of its own for each journey: while Playwright runs, its event loop occupies this thread, and
    Django would refuse the database to whatever test came next."""
    with sync_playwright() as playwright:
        try:
            path = find_browser(playwright.chromium.executable_path)
        except NoBrowser as missing:
            pytest.fail(str(missing))
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        # without motion: a colour half-way through a fade is no colour of ours
        context = browser.new_context(
            viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE)
        visitor = Visitor(context.new_page())
        visitor.listen()
        yield visitor
        browser.close()
