"""A Chrome or Chromium for the journeys: an installed one, else one installed now, else a clear failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

NAMES = (
    "google-chrome",
    "google-chrome-stable",
    "chromium",
    "chromium-browser",
    "chrome",
    "microsoft-edge",
)
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# No background requests: a test's browser connects only to the site under test.
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
    """No Chrome or Chromium is installed and none could be installed; the message lists the attempts."""


def find_browser(playwrights_own: str) -> str:
    """Return the path of a working browser. Raises NoBrowser.

    `playwrights_own` is the folder of the Chromium that Playwright installs.
    """
    found = _first_that_starts(playwrights_own)
    if found:
        return found
    failures = []
    for name, install in _installers():
        failure = install()
        found = _first_that_starts(playwrights_own)
        if found:
            return found
        failures.append(f"{name}: {failure or 'installed, but it does not start'}")
    raise NoBrowser(
        "The journeys need Chrome or Chromium and none is installed. Tried "
        + "; ".join(failures)
        + ". Install one by hand, for example `apt-get install chromium` or `playwright install chromium`."
    )


def _first_that_starts(playwrights_own: str) -> str | None:
    on_path = (shutil.which(name) for name in NAMES)
    for candidate in (*on_path, *PLACES, playwrights_own):
        if candidate and Path(candidate).exists() and _starts(candidate):
            return candidate
    return None


def _starts(browser: str) -> bool:
    """Some distributions install a script there that only recommends another package manager."""
    try:
        answer = subprocess.run(
            [browser, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and any(character.isdigit() for character in answer.stdout)


def _installers() -> Iterator[tuple[str, Callable[[], str]]]:
    if os.geteuid() == 0 and shutil.which("apt-get"):
        yield "the distribution's package", _install_package
    yield "Playwright's own", _install_playwrights


def _install_package() -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    updated = _run(["apt-get", "update", "-qq"], environment)
    return updated or _run(["apt-get", "install", "-y", "-qq", "chromium"], environment)


def _install_playwrights() -> str:
    return _run([sys.executable, "-m", "playwright", "install", "chromium"], dict(os.environ))


def _run(command: list[str], environment: dict[str, str]) -> str:
    """Return an empty string if it worked, else its last line of output."""
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        return str(failure)
    if answer.returncode == 0:
        return ""
    lines = (answer.stderr or answer.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit code {answer.returncode}"
