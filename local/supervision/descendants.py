"""Adopt descendants whose parent has died, so that the supervisor can end them (Linux only)."""

import ctypes
import os
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose parent dies. Does nothing on systems other than Linux."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_adopted(managed_pids: set[int]) -> None:
    """Reap adopted processes that have ended. Processes in `managed_pids` are left to the code that started them."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in managed_pids:
            return
        os.waitpid(ended.si_pid, os.WNOHANG)


def end_descendants(*, seconds: float) -> list[int]:
    """Kill all descendants of this process, and return their ids. Wait at most `seconds` until they have ended."""
    killed: set[int] = set()
    deadline = time.monotonic() + seconds
    while remaining := _descendants(os.getpid()):
        killed |= remaining
        for pid in remaining:
            _kill(pid)
        reap_adopted(set())
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return sorted(killed)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _descendants(root: int) -> set[int]:
    """Return the ids of all descendants of `root`. The set is empty if the system has no /proc."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The format is "pid (name) state ppid ...". The name may contain spaces and brackets.
            parent = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children[parent].append(int(entry.parent.name))
    descendants: set[int] = set()
    unvisited = [root]
    while unvisited:
        for pid in children[unvisited.pop()]:
            descendants.add(pid)
            unvisited.append(pid)
    return descendants
