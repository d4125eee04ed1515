"""The idle memory of all processes that `make up` starts: the sum of their proportional set sizes (PSS).

PSS counts a page that n processes share as 1/n in each, so the sum is the memory that the processes really use.
It is read from /proc/<pid>/smaps_rollup, which needs Linux 4.14 or later.
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

from bench.figures import Figure, figure_with_upper_bound
from bench.scratch import ROOT, Installation

SETTLE_SECONDS = 20.0
START_SECONDS = 600.0


def measure(_installation: Installation, rounds: int) -> Iterator[Figure]:
    """Measure the idle memory of `make up` `rounds` times."""
    yield figure_with_upper_bound(
        "idle memory of everything `make up` starts",
        "PSS summed",
        idle_megabytes(rounds),
        at_most=700,
        unit="MB",
    )


def idle_megabytes(rounds: int) -> list[float]:
    """Start the supervisor of `make up` in an empty home, wait until the demo has ended, and measure `rounds` times."""
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
            _wait_for_file(Path(home) / "demo.json", process)
            time.sleep(SETTLE_SECONDS)
            values = []
            for _ in range(rounds):
                values.append(sum(pss_bytes(pid) for pid in process_tree(process.pid)) / 2**20)
                time.sleep(1)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    return values


def process_tree(root_pid: int) -> list[int]:
    """Return the ids of a process and all its descendants."""
    child_pids: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent_pid(entry)) is not None:
            child_pids.setdefault(parent, []).append(int(entry.name))
    pids, queue = [], [root_pid]
    while queue:
        pid = queue.pop()
        pids.append(pid)
        queue.extend(child_pids.get(pid, []))
    return pids


def pss_bytes(pid: int) -> int:
    """Return the PSS of a process in bytes, or 0 if the process has just ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _parent_pid(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _wait_for_file(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("`make up` did not start; run it manually to see why")
        time.sleep(0.5)
