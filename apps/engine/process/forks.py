"""The owner's side of a fork server: start the process, request children, receive their exits."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps.engine.failures import Unavailable
from apps.engine.process import confinement

ROOT = Path(__file__).resolve().parents[3]
QUIT_SECONDS = 3.0


class ForkServerGone(Unavailable):
    """The fork server has ended; a new one can be started."""


class Child:
    """A forked child as its owner sees it. `status` is the result of waitpid, None while unknown."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid: int | None = None
        self.status: int | None = None
        self.refused: str | None = None
        self.orphaned = False  # The fork server died, so the kernel killed the child too.
        self.ended = threading.Event()


class ForkServerProcess:
    """One fork server process. Thread-safe. With `idle_timeout` (seconds) it ends when unused."""

    def __init__(self, *, idle_timeout: float | None, preload: Sequence[str]) -> None:
        self._idle_timeout = idle_timeout
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._children: dict[int, Child] = {}
        self._last_used = time.monotonic()
        self.ready = threading.Event()
        self.gone = threading.Event()  # No more requests are accepted.
        self.buried = threading.Event()  # The reason for its end is known.
        self._last_words: tuple[str, ...] = ()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = _spawn(theirs, self._stderr.fileno(), preload)
        self._socket = ours
        self._socket.settimeout(idle_timeout / 4 if idle_timeout else None)
        threading.Thread(target=self._listen, name="engine-forks", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fork(self, request_fd: int, events_fd: int, stderr_fd: int) -> Child:
        """Fork a new child that gets the three descriptors. Raises `ForkServerGone`."""
        with self._lock:
            if self.gone.is_set():
                raise ForkServerGone("The engine's fork server ended.")
            child = Child(next(self._numbers))
            self._children[child.number] = child
            self._last_used = time.monotonic()
            message = json.dumps({"op": "fork", "id": child.number}).encode()
            try:
                socket.send_fds(self._socket, [message], [request_fd, events_fd, stderr_fd])
            except OSError as error:
                self._children.pop(child.number)
                raise ForkServerGone(
                    "The engine's fork server does not accept requests."
                ) from error
        return child

    def signal(self, child: Child, signum: int) -> None:
        """Signal the child and all processes in its session. Does nothing if the child has ended."""
        message = json.dumps({"op": "signal", "id": child.number, "signal": int(signum)}).encode()
        with self._lock, contextlib.suppress(OSError):  # Without the server there is no child.
            self._socket.send(message)

    def close(self) -> None:
        """End the server, which kills its children first."""
        with self._lock, contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(QUIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.buried.wait(QUIT_SECONDS)

    # the listening thread

    def _listen(self) -> None:
        while not self._is_idle():
            try:
                data = self._socket.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
            if not data:
                break
            self._hear(json.loads(data))
        self._mark_ended()

    def _is_idle(self) -> bool:
        if self._idle_timeout is None or not self.ready.is_set():
            return False
        with self._lock:
            idle = time.monotonic() - self._last_used > self._idle_timeout
            if idle and not self._children:
                self.gone.set()  # Checked under the lock, so that no request can arrive in between.
                return True
        return False

    def _hear(self, message: dict[str, Any]) -> None:
        if message["op"] == "ready":
            self._last_used = time.monotonic()  # Another thread may be waiting for it.
            self.ready.set()
            return
        with self._lock:
            self._last_used = time.monotonic()
            child = self._children.get(message["id"])
            if child is None:
                return
            if message["op"] == "forked":
                child.pid = message["pid"]
                return
            del self._children[child.number]
        child.status, child.refused = message.get("status"), message.get("error")
        child.ended.set()

    def _mark_ended(self) -> None:
        with self._lock:
            self.gone.set()
            orphans = list(self._children.values())
            self._children.clear()
            self._socket.close()
        self.ready.set()  # Wake up the waiting threads.
        for child in orphans:
            child.orphaned = True
            child.ended.set()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(QUIT_SECONDS)
        self._stderr.seek(0)
        said = self._stderr.read().decode(errors="replace").strip().splitlines()
        self._last_words = tuple(said[-5:])
        self._stderr.close()
        self.buried.set()

    def exit_error(self) -> ForkServerGone:
        """Return the error for its end, with the exit code and its last output as evidence."""
        self.buried.wait(QUIT_SECONDS)
        code = self._process.returncode
        return ForkServerGone(
            f"The engine's fork server ended ({code}).", evidence=self._last_words
        )


def _spawn(
    theirs: socket.socket, stderr_fd: int, preload: Sequence[str]
) -> subprocess.Popen[bytes]:
    fd = theirs.fileno()
    path = os.pathsep.join(dict.fromkeys([str(ROOT), *(p for p in sys.path if p)]))
    return subprocess.Popen(
        [sys.executable, "-m", "apps.engine.process.forkserver", str(fd), *preload],
        cwd=ROOT,
        env={**confinement.environment(), "PYTHONPATH": path},
        pass_fds=[fd],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr_fd,
        start_new_session=True,
    )
