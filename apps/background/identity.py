"""Give each worker process a unique name, and check whether the process with a name is still alive."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def worker_name(pid: int) -> str:
    """Return a unique name for a process: machine or container, process id, and start time."""
    return f"{host_prefix()}{pid}/{_start_time(pid) or 0}"


def host_prefix() -> str:
    """Return the first part of worker names: this machine or container, in which process ids are unique."""
    try:
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()[:60]}/{namespace}/"


def is_alive(worker: str) -> bool:
    """Whether the process with this name still runs. A process on another host counts as alive."""
    pid, _, start_time = worker.removeprefix(host_prefix()).partition("/")
    if not pid.isdigit():
        return True
    current = _start_time(int(pid))
    if current is None and not Path("/proc/self").exists():
        return _exists(int(pid))
    return current is not None and current == int(start_time or 0)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _start_time(pid: int) -> int | None:
    """Return the start time in clock ticks since boot (proc(5), field 22), or None if the process does not exist."""
    try:
        # Read bytes, because the process name in this file may be any bytes.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return None
    return int(fields[19])
