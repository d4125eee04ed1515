"""Replace `validate` by a call that fails, in a fork server that preloads this module.

The payload's `text` is the name of one of the `FAILING_CALLS`.
"""

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


def _exhaust_memory() -> None:
    blocks = []
    while True:
        blocks.append(bytearray(1 << 20))


def _write_garbage() -> None:
    for fd in range(3, 20):
        with suppress(OSError):
            os.write(fd, b"no protocol\n")
    time.sleep(60)


def _kill_the_fork_server() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def _loop_forever() -> None:
    while True:
        pass


FAILING_CALLS: dict[str, Callable[[], object]] = {
    "recursion": _recurse,
    "memory": _exhaust_memory,
    "garbage": _write_garbage,
    "cpu": _loop_forever,
    "silence": lambda: time.sleep(60),
    "exit": lambda: os._exit(3),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "fork server": _kill_the_fork_server,
    "bug": lambda: os.environ["NO_SUCH_VARIABLE"],
    "system exit": sys.exit,
}


def validate(payload: Mapping[str, Any]) -> dict[str, Any]:
    FAILING_CALLS[payload["text"]]()
    raise AssertionError("the failing call returned")


child.CALLS["validate"] = __name__
