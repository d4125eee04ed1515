"""Inject faults at a chosen moment of a run, inside the child that moves the records.

A moment is the n-th time that an operation begins or is done for one stream: `page 7`, `page done 7`,
`lock 1`, `checkpoint 2`, `publish 1`, `finish 1` (published, and not recorded). A file for the stream in the storage of the run defines the fault, which happens once.
`kill page 7` ends the process with SIGKILL. `hold page 7` makes it wait until a test removes the file again, which then
ends in `held`.
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

MOMENT_TIMEOUT = 60.0  # seconds to wait for a moment
COUNTED_METHODS: tuple[tuple[type, str, str], ...] = (
    (PageReader, "_fetch", "page"),
    (StateBackend, "_try_lock", "lock"),
    (StateBackend, "commit", "checkpoint"),
    (Runner, "_publish", "publish"),
    (StateBackend, "succeed", "finish"),
)
_fault_file: list[Path] = []
_counts: Counter[str] = Counter()


def install() -> None:
    """Count the moments of every run in this process and its forks."""
    original_init = Runner.__init__

    def init_with_file(runner: Runner, spec: RunSpec, **kwargs: Any) -> None:
        _fault_file[:] = [fault_file(spec.files.url, spec.stream_key)]
        _counts.clear()  # A child may run several streams.
        original_init(runner, spec, **kwargs)

    Runner.__init__ = init_with_file  # type: ignore[method-assign,assignment]
    for owner, method, name in COUNTED_METHODS:
        setattr(owner, method, _count_calls(getattr(owner, method), name))


def _count_calls(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        _reach_moment(name)
        result = function(*args, **kwargs)
        _reach_moment(f"{name} done")
        return result

    return counted


def _reach_moment(name: str) -> None:
    _counts[name] += 1
    fault = _fault_file[0]
    try:
        kind, _, moment = fault.read_text().partition(" ")
    except FileNotFoundError:
        return
    if moment != f"{name} {_counts[name]}":
        return
    if kind == "kill":
        fault.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    held = fault.rename(_held(fault))
    _wait_until(lambda: not held.exists())


def fault_file(url: str, stream_key: str) -> Path:
    """Return the file of the faults of a stream, in the storage with this URL."""
    return Path(urlsplit(url).path) / f"fault {stream_key}"


def place_fault(file: Path, fault: str) -> None:
    """Inject this fault into the next child of the stream."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(fault)


def remove_fault(file: Path) -> bool:
    """Remove the fault. Returns whether it has happened."""
    try:
        file.unlink()
    except FileNotFoundError:
        return True
    return False


def call_when_held(
    file: Path,
    action: Callable[[], None],
    after_release: Callable[[], None],
    has_ended: Callable[[], bool],
) -> None:
    """Wait until the child is held, call `action`, let the child continue, and call `after_release`.

    Do nothing if the child ends before it is held.
    """
    held = _held(file)
    _wait_until(lambda: held.exists() or has_ended())
    if not held.exists():
        return
    try:
        action()
    finally:
        held.unlink()
        after_release()


def _held(fault: Path) -> Path:
    return fault.with_name(f"{fault.name} held")


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MOMENT_TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(
                "The child did not reach the moment of the fault, or the test did not release it."
            )
        time.sleep(0.005)
