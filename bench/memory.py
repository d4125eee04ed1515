"""Idle memory of everything `make up` starts: the proportional set size of its process tree, summed.

PSS counts a page shared by n processes as 1/n in each, so the sum is the memory that is really used.
Source: /proc/<pid>/smaps_rollup, Linux 4.14 or later.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure, bound
from bench.scratch import ROOT, Scratch

SETTLE_SECONDS = 20.0
START_SECONDS = 600.0


def measure(_place: Scratch, rounds: int) -> Iterator[Figure]:
    """Start `make up`'s supervisor in an empty home, wait until the demo is done and idle, and measure `rounds`
    times.
    """
    with tempfile.TemporaryDirectory(prefix="drover-bench-home-") as home, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        environment = {**os.environ, "DROVER_HOME": home, "PORT": str(port)}
        environment.pop("DATABASE_URL", None)
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "up"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for(Path(home) / "demo.json", process)
            time.sleep(SETTLE_SECONDS)
            values = []
            for _ in range(rounds):
                values.append(sum(pss_bytes(pid) for pid in tree(process.pid)) / 2**20)
                time.sleep(1)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    yield bound(
        "idle memory of everything `make up` starts", "PSS summed", values, at_most=700, unit="MB"
    )


def tree(root: int) -> list[int]:
    """Return a process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := _parent(entry)) is not None:
            parents.setdefault(found, []).append(int(entry.name))
    found_pids, queue = [], [root]
    while queue:
        pid = queue.pop()
        found_pids.append(pid)
        queue.extend(parents.get(pid, []))
    return found_pids


def pss_bytes(pid: int) -> int:
    """Return the PSS; 0 if the process has just ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _parent(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("`make up` did not start; run it manually to see why")
        time.sleep(0.5)
