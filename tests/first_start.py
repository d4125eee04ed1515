"""Copy this tree and run `make up` in the copy, once for all tests that need it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from local import frontend
from local.database.postgres import EmbeddedPostgres, find_free_port
from local.home import CHECKOUT
from tests.mutants import copy_to

READY_SECONDS = 900.0  # a slow machine needs this long to install, to build and to load the demo


@dataclass(frozen=True)
class FirstStart:
    """A copy of this tree and its home, both in one private folder, and the results of its first start."""

    folder: Path
    make_up: MakeUp
    runs: list[dict[str, Any]]  # the demo's runs, as the API returns them

    @property
    def clone(self) -> Path:
        return self.make_up.clone

    @property
    def home(self) -> Path:
        return self.make_up.home


@contextmanager
def start_demo(*, from_nothing: bool = False) -> Iterator[FirstStart]:
    """Start Drover with its demo, and remove everything afterwards.

    The copy uses this tree's built front end if it is up to date, unless `from_nothing` is set.
    """
    folder = Path(tempfile.mkdtemp(prefix="drover-clone-"))
    try:
        clone = copy_to(folder / "drover")
        if not from_nothing and frontend.is_built():
            link_front_end(clone)
        make_up = MakeUp(clone, folder / "home", find_free_port())
        try:
            with log_in(make_up.read_report()) as client:
                runs = client.get("runs").json()["results"]
            yield FirstStart(folder, make_up, runs)
        finally:
            make_up.stop(signal.SIGTERM)
    finally:
        EmbeddedPostgres(folder / "home" / "pg").delete()
        shutil.rmtree(folder)


def link_front_end(clone: Path) -> None:
    for folder in (frontend.FRONTEND_FOLDER / "node_modules", frontend.BUILD_FOLDER):
        (clone / folder.relative_to(CHECKOUT)).symlink_to(folder.resolve())


class MakeUp:
    """A process of `make up` in a copy of this tree."""

    def __init__(self, clone: Path, home: Path, port: int) -> None:
        self.clone, self.home = clone, home
        self.report = home / "demo.json"
        self.output = home.with_suffix(".out")
        started = time.time()
        with self.output.open("ab") as output:
            self.make = subprocess.Popen(
                ["make", "up"],
                cwd=clone,
                env=environment() | {"DROVER_HOME": str(home), "PORT": str(port)},
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=0o022,  # the usual umask of a user
                start_new_session=True,  # its own process group, as in a terminal, to test Ctrl-C
            )
        self._wait_for("demo.json", lambda: _written_after(self.report, started))
        self._wait_for("the login", lambda: "Log in" in self.output.read_text()[-2000:])

    def _wait_for(self, description: str, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not is_done():
            if self.make.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGTERM)
                raise AssertionError(f"no {description}:\n{self.output.read_text()[-4000:]}")
            time.sleep(0.2)

    def read_report(self) -> dict[str, Any]:
        """Return the report that the demo wrote."""
        report: dict[str, Any] = json.loads(self.report.read_text())
        return report

    def stop(self, signum: signal.Signals) -> float:
        """Stop the process and return the seconds until it ended.

        A terminal sends SIGINT to the process group; a service manager sends SIGTERM to `make`.
        """
        stop_started = time.monotonic()
        if self.make.poll() is not None:
            return 0.0
        if signum == signal.SIGINT:
            os.killpg(self.make.pid, signum)
        else:
            self.make.send_signal(signum)
        try:
            self.make.wait(60)
        finally:
            if self.make.poll() is None:
                os.killpg(self.make.pid, signal.SIGKILL)
                self.make.wait()
        return time.monotonic() - stop_started


@contextmanager
def log_in(report: dict[str, Any]) -> Iterator[httpx.Client]:
    login = {"email": report["email"], "password": report["password"]}
    with httpx.Client(base_url=f"{report['url']}/api/v1/", timeout=30) as client:
        response = client.post("auth/login", json=login).raise_for_status()
        client.headers["Authorization"] = f"Bearer {response.json()['access']}"
        yield client


def _written_after(path: Path, moment: float) -> bool:
    return path.exists() and path.stat().st_mtime >= moment


def environment() -> dict[str, str]:
    """Return a user's environment, without the variables that the test suite has set for its own server."""
    set_by_suite = ("DROVER_", "DATABASE_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "API_KEY_PEPPER")
    set_by_tools = ("VIRTUAL_ENV", "DJANGO_SETTINGS_MODULE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    return {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(set_by_suite) and k not in set_by_tools
    }
