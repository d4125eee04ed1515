"""Start child processes that end with their parent, and find out whether processes are running."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def stop_with_parent(signum: signal.Signals) -> Callable[[], None] | None:
    """Return a `preexec_fn` that makes the kernel send `signum` to the child when its parent dies.

    Returns None on systems other than Linux. The signal is sent when the *thread* that started the child ends, so start
    children from the main thread. The C library is loaded here, because it must be loaded before the fork.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def request_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signum))
        if os.getppid() != parent:  # The parent died before the call above.
            os._exit(1)

    return request_signal


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists. It may be a zombie or a process of another user."""
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
        result = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return result.stdout.strip()


def wait_until_gone(pids: Iterable[int], *, seconds: float) -> list[int]:
    """Wait until the processes have ended, at most `seconds`. Returns the ids of those that are still running."""
    running = [pid for pid in pids if is_alive(pid)]
    deadline = time.monotonic() + seconds
    while running and time.monotonic() < deadline:
        time.sleep(0.02)
        running = [pid for pid in running if is_alive(pid)]
    return running
