"""Start, watch, restart and stop the processes of one installation."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.home import CHECKOUT
from local.supervision.processes import stop_with_parent
from local.terminal import complain, say

MAX_RESTART_DELAY = 30.0  # seconds
HEALTHY_AFTER = 30.0  # seconds; if a program runs longer, its earlier deaths do not count any more
ROTATE_AT = 20 * 1024 * 1024  # bytes; a larger log file is renamed at the next start


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
        """Start the program. Its output is written to its log."""
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
                preexec_fn=stop_with_parent(signal.SIGTERM),
            )
        self._began = time.monotonic()

    def watch(self) -> None:
        """Check the program. If it has died, restart it after a pause."""
        now = time.monotonic()
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                if self.deaths and now - self._began > HEALTHY_AFTER:
                    self.deaths = 0
                return
            # Child processes of the dead program would prevent a restart.
            signal_group(self.process.pid, signal.SIGKILL)
            self.process = None
            self.deaths += 1
            self.total_deaths += 1
            delay = restart_delay(self.deaths)
            self._next_start = now + delay
            complain(
                f"{self.name} stopped ({_exit_reason(code)}) and will be restarted in {delay:g} s: see {self.log}"
            )
        elif now >= self._next_start:
            self.start()
            say(f"{self.name} was restarted")

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the program. Its own children do not receive the signal: the program stops them."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait_then_kill(self, seconds: float) -> None:
        """Wait until the program has stopped, at most `seconds`, then kill its process group."""
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        signal_group(process.pid, signal.SIGKILL)
        process.wait()

    def log_tail(self, line_count: int = 5) -> str:
        """Return the last lines of the log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-line_count:])
        except OSError:
            return ""


def restart_delay(deaths: int) -> float:
    """Return the seconds to wait before a program is started again after `deaths` deaths in a row."""
    return min(MAX_RESTART_DELAY, 0.5 * 2.0 ** (deaths - 1))


def stop_all(children: Iterable[Child], *, seconds: float) -> None:
    """Ask all children to stop, wait for them, then kill their process groups."""
    stopping = list(children)
    for child in stopping:
        child.ask_to_stop()
    deadline = time.monotonic() + seconds
    for child in stopping:
        child.wait_then_kill(max(0.0, deadline - time.monotonic()))


def signal_group(leader: int, signum: signal.Signals) -> None:
    """Send a signal to a process group. The group may be empty."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signum)


def _exit_reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
