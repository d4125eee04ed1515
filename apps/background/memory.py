"""The memory that this process and its children may use, the number of runs of one org that fit into it, and its
garbage collection.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

# The files with the memory limit of the control group: version 2, then version 1.
LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def collect_garbage_less_often() -> None:
    """Collect garbage after 50,000 new objects instead of 700.

    Imports create hundreds of thousands of objects that stay. With Python's defaults the web process takes a tenth
    more processor time to start, and the first `migrate` a fifth more.
    """
    gc.set_threshold(50_000, 20, 50)


def available_memory() -> int:
    """Return the memory of the machine, or the container's limit if that is lower. In bytes."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *filter(None, map(_read_limit, LIMIT_FILES))])


def max_runs_per_org(child_memory: int, sandbox_memory: int) -> int:
    """Return how many runs of one org a worker may execute at once, so that one org alone cannot use up the memory.

    As many as fit if each uses the maximum of its process and sandbox, but at least one.
    """
    return max(1, available_memory() // (child_memory + sandbox_memory))


def _read_limit(path: str) -> int | None:
    """Return the limit in bytes, or None if the file does not exist or contains no limit."""
    try:
        text = Path(path).read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
