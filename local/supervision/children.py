"""The processes of one installation: start, watch, restart and stop them."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.home import CHECKOUT
from local.supervision.processes import dies_with_parent
from local.terminal import complain, say

LONGEST_PAUSE = 30.0
HEALTHY_AFTER = 30.0  # seconds of running after which an earlier death is forgotten
ROTATE_AT = 20 * 1024 * 1024  # bytes of a log file that is renamed at the next start


@dataclass
class Child:
    """One long-running program with its own log and session."""

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0  # consecutive deaths
    total_deaths: int = 0
    _began: float = field(default=0.0, repr=False)
    _next_start: float = field(default=0.0, repr=False)

    def start(self) -> None:
        """Start the program; its output goes to its log."""
        if self.log.exists() and self.log.stat().st_size > ROTATE_AT:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=CHECKOUT,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGTERM),
            )
        self._began = time.monotonic()

    def watch(self) -> None:
        """Detect a death, and restart after its pause."""
        now = time.monotonic()
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                if self.deaths and now - self._began > HEALTHY_AFTER:
                    self.deaths = 0
                return
            signal_group(self.process.pid, signal.SIGKILL)  # its leftovers would prevent a restart
            self.process = None
            self.deaths += 1
            self.total_deaths += 1
            pause = pause_after(self.deaths)
            self._next_start = now + pause
            complain(
                f"{self.name} stopped ({_how(code)}) and will be restarted in {pause:g} s: see {self.log}"
            )
        elif now >= self._next_start:
            self.start()
            say(f"{self.name} was restarted")

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the program only, because it can stop its own children best."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self, seconds: float) -> None:
        """Wait for it to stop; then kill the rest of its group."""
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        signal_group(process.pid, signal.SIGKILL)
        process.wait()

    def log_tail(self, lines: int = 5) -> str:
        """Return the end of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def pause_after(deaths: int) -> float:
    """Seconds until the next start of what died so many times in a row."""
    return min(LONGEST_PAUSE, 0.5 * 2.0 ** (deaths - 1))


def stop_all(children: Iterable[Child], *, seconds: float) -> None:
    """Ask all to stop at once, wait for all, then kill the groups of those still running."""
    asked = list(children)
    for child in asked:
        child.ask_to_stop()
    deadline = time.monotonic() + seconds
    for child in asked:
        child.end(max(0.0, deadline - time.monotonic()))


def signal_group(leader: int, signum: signal.Signals) -> None:
    """Signal a process group, which may be empty by now."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signum)


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
