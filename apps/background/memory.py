"""How much memory this process may use with its children, and how many runs of one org that is enough for."""

from __future__ import annotations

import os
from pathlib import Path

# The limit of the control group: version 2, then version 1.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available() -> int:
    """Bytes: the machine's, or the container's where that has less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *filter(None, map(_limit, LIMITS))])


def runs_of_an_org(child: int, sandbox: int) -> int:
    """How many runs fit at once when each takes all that its process and its sandbox may; at least one."""
    return max(1, available() // (child + sandbox))


def _limit(path: str) -> int | None:
    """None where there is no such file, or no limit in it."""
    try:
        said = Path(path).read_text().strip()
    except OSError:
        return None
    return int(said) if said.isdigit() else None
