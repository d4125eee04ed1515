"""Inject faults at a chosen moment of a run, inside the child that moves the records.

A moment is the n-th time that an operation begins or is done in one child: `page 7`, `page done 7`,
`checkpoint 2`, `publish 1`. A file `fault` in the folder of the run defines the fault, which happens once:
`kill page 7` ends the process with SIGKILL, `hold page 7` makes it wait until the file `held` is gone.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from apps.engine.contract import RunSpec
from apps.engine.sync.checkpoints import StateBackend
from apps.engine.sync.pages import PageReader
from apps.engine.sync.runner import Runner

PATIENCE = 60.0  # seconds to wait for a moment
WATCHED: tuple[tuple[type, str, str], ...] = (
    (PageReader, "_fetch", "page"),
    (StateBackend, "commit", "checkpoint"),
    (Runner, "_publish", "publish"),
)
_folder: list[Path] = []
_counts: Counter[str] = Counter()


def install() -> None:
    """Count the moments of every run in this process and its forks."""
    begin = Runner.__init__

    def begun(runner: Runner, spec: RunSpec, **more: Any) -> None:
        _folder[:] = [folder_of(spec)]
        begin(runner, spec, **more)

    Runner.__init__ = begun  # type: ignore[method-assign,assignment]
    for owner, method, name in WATCHED:
        setattr(owner, method, _watched(getattr(owner, method), name))


def _watched(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def watched(*arguments: Any, **named: Any) -> Any:
        _reach(name)
        answer = function(*arguments, **named)
        _reach(f"{name} done")
        return answer

    return watched


def _reach(name: str) -> None:
    _counts[name] += 1
    fault = _folder[0] / "fault"
    try:
        what, _, moment = fault.read_text().partition(" ")
    except FileNotFoundError:
        return
    if moment != f"{name} {_counts[name]}":
        return
    if what == "kill":
        fault.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    held = fault.rename(fault.with_name("held"))
    _wait(lambda: not held.exists())


def folder_of(spec: RunSpec) -> Path:
    """The folder of the run's files, and the fault to inject."""
    return Path(urlsplit(spec.files.url).path)


def arm(spec: RunSpec, fault: str) -> None:
    """Inject this fault into the run's next child."""
    (folder_of(spec) / "fault").write_text(fault)


def disarm(spec: RunSpec) -> bool:
    """Remove the fault. Returns whether it has happened."""
    try:
        (folder_of(spec) / "fault").unlink()
    except FileNotFoundError:
        return True
    return False


def act_when_held(
    spec: RunSpec,
    act: Callable[[], None],
    afterwards: Callable[[], None],
    has_ended: Callable[[], bool],
) -> None:
    """Wait until the child is held, act, let it continue, and call `afterwards`. Does nothing if it ends before."""
    held = folder_of(spec) / "held"
    _wait(lambda: held.exists() or has_ended())
    if not held.exists():
        return
    try:
        act()
    finally:
        held.unlink()
        afterwards()


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("The moment of the fault did not come.")
        time.sleep(0.005)
