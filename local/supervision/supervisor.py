"""Keep the processes of one installation running, and stop them all at the end."""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from local.errors import DatabaseLost, LocalError
from local.home import CHECKOUT
from local.lost_database import DATABASE_LOST_CODE
from local.supervision.children import Child, signal_group, stop_all
from local.supervision.descendants import adopt_orphans, end_descendants, reap_adopted
from local.supervision.processes import stop_with_parent
from local.supervision.server import WatchedServer

# Drover must stop within 15 s. The children stop first. PostgreSQL then has the remaining part of STOP_SECONDS, because
# it writes a checkpoint when it stops.
CHILD_SECONDS = 7.0
STOP_SECONDS = 12.0
LEFTOVER_SECONDS = 1.0
EXPLAINED_FAILURE_CODE = 3  # exit code of a program whose last line is a message for the user
GIVE_UP_AFTER = 3  # consecutive deaths during the start


class Stopped(BaseException):
    """The user asked Drover to stop."""


class Supervisor(AbstractContextManager["Supervisor"]):
    """Owns the children and the embedded PostgreSQL server, if there is one.

    Use it from the main thread. Inside the context, the first SIGINT, SIGTERM or SIGHUP raises Stopped. Leaving the
    context stops all processes.
    """

    def __init__(self) -> None:
        self.children: list[Child] = []
        self.server: WatchedServer | None = None
        self._task: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()

    def __enter__(self) -> Self:
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._on_signal)
        # The signal only has to wake `sleep_until_event`.
        signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)
        adopt_orphans()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        self.stop()

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        if self._stopping:
            return
        self._stopping = True
        raise Stopped(signal.Signals(signum).name)

    def add(self, child: Child) -> Child:
        """Start a child. It is watched from now on."""
        self.children.append(child)
        child.start()
        return child

    def run(
        self, command: Sequence[str | Path], env: Mapping[str, str], *, step: str, log: Path
    ) -> None:
        """Run a program to its end while the children are watched.

        It uses this process's standard output. Its standard error is written to `log`. Raises LocalError if the program
        fails, and DatabaseLost if it exits with DATABASE_LOST_CODE.
        """
        with log.open("ab") as errors:
            log_offset = errors.tell()
            self._task = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                preexec_fn=stop_with_parent(signal.SIGTERM),
            )
        while (code := self._task.poll()) is None:
            self.watch()
            self.sleep_until_event(0.5)
        self._task = None
        if code == DATABASE_LOST_CODE:
            raise DatabaseLost(_last_line(log, log_offset))
        if code == EXPLAINED_FAILURE_CODE:
            raise LocalError(_last_line(log, log_offset))
        if code:
            reason = _last_line(log, log_offset) or f"exit code {code}"
            reason = reason.removeprefix("CommandError: ").rstrip(".")
            raise LocalError(f"{step} failed ({reason}): see {log}.")

    def watch(self) -> None:
        """Restart processes that have died, and reap adopted processes."""
        if self.server is not None:
            self.server.watch()
        for child in self.children:
            child.watch()
        reap_adopted(self._managed_pids())

    def require_no_repeated_deaths(self, child: Child) -> None:
        """Raise LocalError if a child has died repeatedly during the start."""
        if child.deaths < GIVE_UP_AFTER:
            return
        raise LocalError(
            f"The {child.name} process ends again and again ({child.log_tail(1) or 'no output'}): "
            f"see {child.log}."
        )

    def sleep_until_event(self, seconds: float) -> None:
        """Sleep until a child dies, but at most `seconds`."""
        if not self._selector.select(seconds):
            return
        with contextlib.suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                continue

    def keep_running(self) -> None:
        """Watch all processes until Stopped is raised."""
        while True:
            self.watch()
            self.sleep_until_event(1.0)

    def stop(self) -> None:
        """Stop all processes: first the children, then the server, then all other descendants."""
        deadline = time.monotonic() + STOP_SECONDS
        if self._task is not None:
            self._task.terminate()
        stop_all(self.children, seconds=CHILD_SECONDS)
        if self._task is not None:
            signal_group(self._task.pid, signal.SIGKILL)
            self._task.wait()
        if self.server is not None:
            self.server.stop(deadline - time.monotonic())
        end_descendants(seconds=LEFTOVER_SECONDS)

    def _managed_pids(self) -> set[int]:
        processes = (self._task, *(child.process for child in self.children))
        pids = {process.pid for process in processes if process is not None}
        if self.server is not None and self.server.pid is not None:
            pids.add(self.server.pid)
        return pids


def _last_line(log: Path, offset: int) -> str:
    with log.open("rb") as file:
        file.seek(offset, os.SEEK_SET)
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")
