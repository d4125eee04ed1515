"""Child processes that do not outlive us, and how to stop them."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def dies_with_parent(signum: signal.Signals) -> Callable[[], None] | None:
    """Return a `preexec_fn` that makes the kernel send `signum` to the child when its parent dies.

    Linux only (None elsewhere). The kernel means the parent *thread*, so start children from the main thread.
    The library is loaded here, before the fork.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signum))
        if os.getppid() != parent:  # the parent died before the call above
            os._exit(1)

    return arrange


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists, also a zombie or another user's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def command_line(pid: int) -> str:
    """Return the command line of a process, joined by spaces; empty if unknown."""
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        pass
    try:
        shown = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return shown.stdout.strip()


def wait_until_gone(pids: Iterable[int], *, seconds: float) -> list[int]:
    """Wait for processes that may not be our children; return those still running."""
    left = [pid for pid in pids if is_alive(pid)]
    deadline = time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [pid for pid in left if is_alive(pid)]
    return left
