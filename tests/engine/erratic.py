"""A `validate` that ends in every way a call can end. Preload it into a fork server; the text selects the way."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from apps.engine.process import child


def _recurse() -> None:
    _recurse()


def _take_memory() -> None:
    kept = []
    while True:
        kept.append(bytearray(1 << 20))


def _write_garbage() -> None:
    for fd in range(3, 20):
        with suppress(OSError):
            os.write(fd, b"no protocol\n")
    time.sleep(60)


def _kill_the_fork_server() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def _compute() -> None:
    while True:
        pass


WAYS: dict[str, Callable[[], object]] = {
    "recursion": _recurse,
    "memory": _take_memory,
    "garbage": _write_garbage,
    "cpu": _compute,
    "silence": lambda: time.sleep(60),
    "exit": lambda: os._exit(3),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "fork server": _kill_the_fork_server,
    "bug": lambda: os.environ["NO_SUCH_VARIABLE"],
    "system exit": sys.exit,
}


def validate(payload: Mapping[str, Any]) -> dict[str, Any]:
    WAYS[payload["text"]]()
    raise AssertionError("it ended otherwise")


child.CALLS["validate"] = __name__
