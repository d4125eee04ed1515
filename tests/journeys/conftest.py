"""A running Drover with its demo, and a page of a real browser that remembers what went wrong in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, Response, sync_playwright

from local.home import CHECKOUT
from local.postgres import free_port
from tests.journeys.browser import ARGUMENTS, NoBrowser, find_browser

READY_SECONDS = 420.0
STOP_SECONDS = 20.0
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


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """The product as `make up` runs it, in a home of its own, on a free port."""
    with tempfile.TemporaryDirectory(prefix="drover-journey-", ignore_cleanup_errors=True) as home:
        log = Path(home) / "up.log"
        process = _start(Path(home), log)
        try:
            yield _when_ready(process, Path(home) / "demo.json", log)
        finally:
            _stop(process)


def _start(home: Path, log: Path) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if not _is_of_the_tests(name)}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "local", "up"],
            cwd=CHECKOUT,
            env={**kept, "DROVER_HOME": str(home), "PORT": str(free_port())},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _is_of_the_tests(name: str) -> bool:
    """Settings of the test run that the product would take for its own."""
    return name.startswith(("DJANGO_", "DROVER_")) or name in {
        "DATABASE_URL",
        "SECRET_KEY",
        "ENCRYPTION_KEYS",
        "API_KEY_PEPPER",
    }


def _when_ready(process: subprocess.Popen[bytes], report: Path, log: Path) -> Site:
    deadline = time.monotonic() + READY_SECONDS
    while not report.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"Drover did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)
    said = json.loads(report.read_text())
    return Site(
        said["url"], said["email"], said["password"], said["organization"], report.parent / "mail"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        pytest.fail(f"Drover did not stop within {STOP_SECONDS:.0f} s of SIGTERM")


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
