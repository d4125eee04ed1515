"""Find a Chrome or Chromium for the journeys. If none is installed, try to install one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

PROGRAM_NAMES = (
    "google-chrome",
    "google-chrome-stable",
    "chromium",
    "chromium-browser",
    "chrome",
    "microsoft-edge",
)
MACOS_PATHS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# The browser must connect only to the site under test, so background requests are disabled.
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
INSTALL_SECONDS = 900


class NoBrowser(Exception):
    """No Chrome or Chromium is installed, and none could be installed. The message lists the attempts."""


def find_browser(playwright_path: str) -> str:
    """Return the path of a working browser. Raises NoBrowser.

    `playwright_path` is the path of the Chromium that Playwright can install.
    """
    browser = _find_working_browser(playwright_path)
    if browser:
        return browser
    failures = []
    for name, install in _installers():
        failure = install()
        browser = _find_working_browser(playwright_path)
        if browser:
            return browser
        failures.append(f"{name}: {failure or 'installed, but it does not start'}")
    raise NoBrowser(
        "The journeys need Chrome or Chromium, and none is installed. Tried "
        + "; ".join(failures)
        + ". Install one by hand, for example `apt-get install chromium` or `playwright install chromium`."
    )


def _find_working_browser(playwright_path: str) -> str | None:
    on_path = (shutil.which(name) for name in PROGRAM_NAMES)
    for candidate in (*on_path, *MACOS_PATHS, playwright_path):
        if candidate and Path(candidate).exists() and _can_start(candidate):
            return candidate
    return None


def _can_start(browser: str) -> bool:
    """Whether the browser starts. Some distributions install only a script that recommends a package manager."""
    try:
        result = subprocess.run(
            [browser, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0 and any(character.isdigit() for character in result.stdout)


def _installers() -> Iterator[tuple[str, Callable[[], str]]]:
    if os.geteuid() == 0 and shutil.which("apt-get"):
        yield "the distribution's package", _install_package
    yield "Playwright's Chromium", _install_with_playwright


def _install_package() -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    failure = _run(["apt-get", "update", "-qq"], environment)
    return failure or _run(["apt-get", "install", "-y", "-qq", "chromium"], environment)


def _install_with_playwright() -> str:
    return _run([sys.executable, "-m", "playwright", "install", "chromium"], dict(os.environ))


def _run(command: list[str], environment: dict[str, str]) -> str:
    """Run a command. Returns an empty string if it succeeds, else the last line of its output."""
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        return str(failure)
    if result.returncode == 0:
        return ""
    lines = (result.stderr or result.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit code {result.returncode}"
