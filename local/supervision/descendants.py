"""Adopt processes that lost their parent, so that the supervisor can end them (Linux)."""

import ctypes
import os
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent dies. Does nothing on other systems."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_adopted(known: set[int]) -> None:
    """Reap adopted processes that have ended; others wait for those in `known`."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in known:
            return
        os.waitpid(ended.si_pid, os.WNOHANG)


def end_descendants(*, seconds: float) -> list[int]:
    """Kill all remaining descendants and return them."""
    found: set[int] = set()
    deadline = time.monotonic() + seconds
    while left := _descendants(os.getpid()):
        found |= left
        for pid in left:
            _kill(pid)
        reap_adopted(set())
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return sorted(found)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _descendants(root: int) -> set[int]:
    """Return all descendants of `root` from the kernel's table; empty if there is no /proc."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # "pid (name, which may hold spaces and brackets) state ppid ..."
            parent = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children[parent].append(int(entry.parent.name))
    found: set[int] = set()
    waiting = [root]
    while waiting:
        for pid in children[waiting.pop()]:
            found.add(pid)
            waiting.append(pid)
    return found
