"""The first start, done once for all tests that need it: a copy of this tree, and `make up` in it."""

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
from local.database.postgres import EmbeddedPostgres, free_port
from local.home import CHECKOUT
from tests.mutants import copy_to

READY_SECONDS = 900.0  # a slow machine installs, builds and loads


@dataclass(frozen=True)
class FirstStart:
    """A copy of this tree, with its home below the same private folder, and the results of its first start."""

    place: Path
    up: MakeUp
    runs: list[dict[str, Any]]  # of the demo, as the API shows them

    @property
    def clone(self) -> Path:
        return self.up.clone

    @property
    def home(self) -> Path:
        return self.up.home


@contextmanager
def first_start(*, from_nothing: bool = False) -> Iterator[FirstStart]:
    """Start Drover with its demo; everything is removed afterwards.

    The copy gets this tree's built front end if it is up to date, unless `from_nothing` is set.
    """
    place = Path(tempfile.mkdtemp(prefix="drover-clone-"))
    try:
        clone = copy_to(place / "drover")
        if not from_nothing and frontend.is_built():
            link_front_end(clone)
        up = MakeUp(clone, place / "home", free_port())
        try:
            with logged_in(up.told()) as client:
                runs = client.get("runs").json()["results"]
            yield FirstStart(place, up, runs)
        finally:
            up.stop(signal.SIGTERM)
    finally:
        EmbeddedPostgres(place / "home" / "pg").delete()
        shutil.rmtree(place)


def link_front_end(clone: Path) -> None:
    for built in (frontend.FOLDER / "node_modules", frontend.BUILT):
        (clone / built.relative_to(CHECKOUT)).symlink_to(built.resolve())


class MakeUp:
    """One `make up` in a copy."""

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
                umask=0o022,  # a user's environment
                start_new_session=True,  # a terminal's process group, for Ctrl-C
            )
        self._wait_for("demo.json", lambda: _written_after(self.report, started))
        self._wait_for("the login", lambda: "Log in" in self.output.read_text()[-2000:])

    def _wait_for(self, what: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not done():
            if self.make.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGTERM)
                raise AssertionError(f"no {what}:\n{self.output.read_text()[-4000:]}")
            time.sleep(0.2)

    def told(self) -> dict[str, Any]:
        """Return the report that it wrote."""
        report: dict[str, Any] = json.loads(self.report.read_text())
        return report

    def stop(self, signum: signal.Signals) -> float:
        """Stop it like a terminal (SIGINT to the group) or a service manager (SIGTERM to make); returns the
        seconds it took.
        """
        began = time.monotonic()
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
        return time.monotonic() - began


@contextmanager
def logged_in(told: dict[str, Any]) -> Iterator[httpx.Client]:
    login = {"email": told["email"], "password": told["password"]}
    with httpx.Client(base_url=f"{told['url']}/api/v1/", timeout=30) as client:
        answer = client.post("auth/login", json=login).raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access']}"
        yield client


def _written_after(path: Path, moment: float) -> bool:
    return path.exists() and path.stat().st_mtime >= moment


def environment() -> dict[str, str]:
    """A user's environment: without the variables that the test suite set for its own server."""
    ours = ("DROVER_", "DATABASE_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "API_KEY_PEPPER")
    others = ("VIRTUAL_ENV", "DJANGO_SETTINGS_MODULE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours) and k not in others}
