"""What a worker process is called, and whether the one of a name still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def name_of(pid: int) -> str:
    """The name of a process: machine or container, process id, and when it began, so that no other takes it."""
    return f"{host()}{pid}/{_started(pid) or 0}"


def host() -> str:
    """This machine, or this container: where process ids mean something."""
    try:
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        space = ""
    return f"{socket.gethostname()[:60]}/{space}/"


def is_alive(worker: str) -> bool:
    """Whether the process of that name still is the one that took the name."""
    pid, _, started = worker.removeprefix(host()).partition("/")
    if not pid.isdigit():
        return True
    if _started(int(pid)) is None and not Path("/proc/self").exists():
        return _exists(int(pid))
    return (_started(int(pid)) or 0) == int(started or 0) and _started(int(pid)) is not None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> int | None:
    """When the process began, in clock ticks since boot (proc(5), field 22); None when there is none."""
    try:
        # Bytes: the name in it is the process's own choice, and need not be text.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return None
    return int(fields[19])
