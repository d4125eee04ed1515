"""Keep the processes of one installation running, and end them all."""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from local.errors import DatabaseLost, LocalError
from local.home import CHECKOUT
from local.lost_database import DATABASE_LOST
from local.supervision.children import Child, signal_group, stop_all
from local.supervision.descendants import adopt_orphans, end_descendants, reap_adopted
from local.supervision.processes import dies_with_parent
from local.supervision.server import WatchedServer

# Stopping must end within 15 s. PostgreSQL, which writes a checkpoint when it stops, gets what remains of STOP_SECONDS after
# the children have ended.
CHILD_SECONDS = 7.0
STOP_SECONDS = 12.0
LEFTOVER_SECONDS = 1.0
EXPLAINED_FAILURE = 3  # exit code of a program whose last output line is a message for the user
GIVE_UP_AFTER = 3  # consecutive deaths during the start


class Stopped(BaseException):
    """The user asked Drover to stop."""


class Supervisor(AbstractContextManager["Supervisor"]):
    """Owns the children and the PostgreSQL server, if there is one.

    Use it from the main thread. Inside the context SIGINT, SIGTERM and SIGHUP raise Stopped once; leaving it
    stops everything.
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
        signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)  # only wakes `rest`
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
        """Start a child and watch it from now on."""
        self.children.append(child)
        child.start()
        return child

    def run(
        self, command: Sequence[str | Path], env: Mapping[str, str], *, doing: str, log: Path
    ) -> None:
        """Run a program to its end while the children are watched.

        Its standard output is ours; its standard error goes to `log`. Raises LocalError if it fails,
        DatabaseLost if it reports that it lost the database.
        """
        with log.open("ab") as errors:
            began = errors.tell()
            self._task = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGTERM),
            )
        while (code := self._task.poll()) is None:
            self.watch()
            self.rest(0.5)
        self._task = None
        if code == DATABASE_LOST:
            raise DatabaseLost(_last_line(log, began))
        if code == EXPLAINED_FAILURE:
            raise LocalError(_last_line(log, began))
        if code:
            reason = _last_line(log, began) or f"exit code {code}"
            reason = reason.removeprefix("CommandError: ").rstrip(".")
            raise LocalError(f"{doing} failed ({reason}): see {log}.")

    def watch(self) -> None:
        """Restart what died, and reap orphans."""
        if self.server is not None:
            self.server.watch()
        for child in self.children:
            child.watch()
        reap_adopted(self._known())

    def require_stays_up(self, child: Child) -> None:
        """Raise LocalError if a child dies repeatedly before it was ready once."""
        if child.deaths < GIVE_UP_AFTER:
            return
        raise LocalError(
            f"The {child.name} process does not stay up ({child.log_tail(1) or 'no output'}): "
            f"see {child.log}."
        )

    def rest(self, seconds: float) -> None:
        """Sleep until a child dies or the time is over."""
        if not self._selector.select(seconds):
            return
        with contextlib.suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                continue

    def keep_running(self) -> None:
        """Watch until Stopped is raised."""
        while True:
            self.watch()
            self.rest(1.0)

    def stop(self) -> None:
        """End everything: the children first, then the server, leftovers last."""
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

    def _known(self) -> set[int]:
        return set(self._pids())

    def _pids(self) -> Iterator[int]:
        if self.server is not None and self.server.pid is not None:
            yield self.server.pid
        for process in (self._task, *(child.process for child in self.children)):
            if process is not None:
                yield process.pid


def _last_line(log: Path, offset: int) -> str:
    with log.open("rb") as file:
        file.seek(offset, os.SEEK_SET)
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")
