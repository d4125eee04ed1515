"""The memory available to this process and its children, and how many runs of one org fit into it."""

from __future__ import annotations

import os
from pathlib import Path

# The limit of the control group: version 2, then version 1.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available() -> int:
    """Return the bytes of the machine, or of the container if it has less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *filter(None, map(_limit, LIMITS))])


def runs_of_an_org(child: int, sandbox: int) -> int:
    """Return how many runs fit if each uses the maximum of its process and sandbox; at least one."""
    return max(1, available() // (child + sandbox))


def _limit(path: str) -> int | None:
    """Return None if the file does not exist or has no limit."""
    try:
        said = Path(path).read_text().strip()
    except OSError:
        return None
    return int(said) if said.isdigit() else None
