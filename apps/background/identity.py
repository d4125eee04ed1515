"""Names of worker processes, and whether the process of a name is still alive."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def name_of(pid: int) -> str:
    """Return a unique name of a process: machine or container, process id, and start time."""
    return f"{host()}{pid}/{_started(pid) or 0}"


def host() -> str:
    """Return the name of this machine or container, within which process ids are unique."""
    try:
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        space = ""
    return f"{socket.gethostname()[:60]}/{space}/"


def is_alive(worker: str) -> bool:
    """Whether the process with that name is still the same process."""
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
    """Return the process's start in clock ticks since boot (proc(5), field 22); None if it does not exist."""
    try:
        # Read bytes: the process name in it may be any bytes.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return None
    return int(fields[19])
