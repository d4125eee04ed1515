"""Fixtures of the journeys: a running Drover with its demo, and a real browser that records errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import ConsoleMessage, Page, Response, expect, sync_playwright

from tests import database
from tests.first_start import FirstStart, log_in
from tests.journeys.browser import ARGUMENTS, NoBrowser, find_browser

SHOP = "journey_shop"  # the name of a database, of its user and of a connector
PASSWORD = "the right password of the shop"
STEP_TIMEOUT = 30_000  # milliseconds per step of a journey
# What the journeys create, in an order in which it can be deleted.
COLLECTIONS = (
    "freshness-pages",
    "alerts/rules",
    "alerts/channels",
    "agent/conversations",
    "pipelines",
    "connectors",
    "custom-sources",
    "files",
    "org/api-keys",
)

# An expectation is a step too. Some wait for a child process that reads a source, and a busy machine starts it late.
expect.set_options(timeout=STEP_TIMEOUT)


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

    def unexpected_errors(self, *expected: int) -> list[str]:
        """Return the errors without answers of the expected statuses. The browser logs these answers too."""
        return [
            error
            for error in self.errors
            if not any(
                error.startswith(f"{status} ") or f"status of {status}" in error
                for status in expected
            )
        ]

    def _record_console_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(f"console {message.type}: {message.text}")

    def _record_failed_response(self, response: Response) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status} {response.request.method} {response.url}")


@pytest.fixture
def site(first_start: FirstStart) -> Iterator[Site]:
    """Return the site that `make up` has started. Afterwards it is as before, also if the journey has failed."""
    report = first_start.make_up.read_report()
    with log_in(report) as client:
        before = list_objects(client)
    yield Site(
        report["url"],
        report["email"],
        report["password"],
        report["organization"],
        first_start.home / "mail",
    )
    with log_in(report) as client:
        remove_new_objects(client, before)


def list_objects(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """Return all objects of the collections by their address."""
    return {
        f"{collection}/{row['id']}": row
        for collection in COLLECTIONS
        for row in client.get(collection).raise_for_status().json()["results"]
    }


def remove_new_objects(client: httpx.Client, before: dict[str, dict[str, Any]]) -> None:
    """Delete what is new, and enable or disable the other pipelines as before."""
    for address, row in list_objects(client).items():
        if address not in before:
            client.delete(address).raise_for_status()
        elif row.get("enabled") != before[address].get("enabled"):
            body = {"enabled": before[address]["enabled"]}
            client.patch(address, json=body).raise_for_status()


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


@contextmanager
def shop_database() -> Iterator[None]:
    with psycopg.connect(database.url_of("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {SHOP} LOGIN PASSWORD '{PASSWORD}'")
        admin.execute(f"CREATE DATABASE {SHOP} OWNER {SHOP}")
        try:
            with psycopg.connect(database.url_of(SHOP)) as shop:
                shop.execute("CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 7) n")
                shop.execute(f"ALTER TABLE orders OWNER TO {SHOP}")
            yield
        finally:
            admin.execute(f"DROP DATABASE {SHOP} WITH (FORCE)")
            admin.execute(f"DROP ROLE {SHOP}")
