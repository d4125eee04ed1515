"""The owner's side of a fork server: start its process, request children, and receive their exit statuses."""

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
QUIT_SECONDS = 3.0  # seconds to wait for the exit of the fork server


class ForkServerGone(Unavailable):
    """The fork server has ended. A new fork server can be started."""


class Child:
    """A forked child, as the owner of the fork server sees it. `status` is the result of waitpid, None if unknown."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid: int | None = None
        self.status: int | None = None
        self.fork_error: str | None = None
        self.is_orphan = False  # The fork server exited, so the kernel killed the child.
        self.ended = threading.Event()


class ForkServerProcess:
    """One fork server process. Thread-safe.

    With `idle_timeout` (seconds) the process ends if it is not used for that time.
    """

    def __init__(self, *, idle_timeout: float | None, preload: Sequence[str]) -> None:
        self._idle_timeout = idle_timeout
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._children: dict[int, Child] = {}
        self._last_used = time.monotonic()
        self.ready = threading.Event()
        self.ended = threading.Event()  # No more requests are accepted.
        self.exit_status_known = threading.Event()  # The exit code and the last output are known.
        self._last_output: tuple[str, ...] = ()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - is closed when the server has ended
        own_socket, server_socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with server_socket:
            self._process = _spawn(server_socket, self._stderr.fileno(), preload)
        self._socket = own_socket
        self._socket.settimeout(idle_timeout / 4 if idle_timeout else None)
        threading.Thread(target=self._listen, name="engine-forks", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fork(self, request_fd: int, events_fd: int, stderr_fd: int) -> Child:
        """Fork a new child that receives the three descriptors. Raises `ForkServerGone`."""
        with self._lock:
            if self.ended.is_set():
                raise ForkServerGone("The engine's fork server has ended.")
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
        """Send a signal to the child and all processes in its session. Does nothing if the child has ended."""
        message = json.dumps({"op": "signal", "id": child.number, "signal": int(signum)}).encode()
        with self._lock, contextlib.suppress(OSError):  # If the server has ended, so has the child.
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
        self.exit_status_known.wait(QUIT_SECONDS)

    # The listening thread

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
            self._handle_message(json.loads(data))
        self._mark_ended()

    def _is_idle(self) -> bool:
        if self._idle_timeout is None or not self.ready.is_set():
            return False
        with self._lock:
            is_idle = time.monotonic() - self._last_used > self._idle_timeout
            if is_idle and not self._children:
                self.ended.set()  # Set while the lock is held, so that no request can arrive in between.
                return True
        return False

    def _handle_message(self, message: dict[str, Any]) -> None:
        if message["op"] == "ready":
            self._last_used = time.monotonic()  # A waiting thread may now use the server.
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
        child.status, child.fork_error = message.get("status"), message.get("error")
        child.ended.set()

    def _mark_ended(self) -> None:
        with self._lock:
            self.ended.set()
            orphans = list(self._children.values())
            self._children.clear()
            self._socket.close()
        self.ready.set()  # Wake up the waiting threads.
        for child in orphans:
            child.is_orphan = True
            child.ended.set()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(QUIT_SECONDS)
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        self._last_output = tuple(lines[-5:])
        self._stderr.close()
        self.exit_status_known.set()

    def exit_error(self) -> ForkServerGone:
        """Wait for the end of the server, and return an error with its exit code and its last output."""
        self.exit_status_known.wait(QUIT_SECONDS)
        code = self._process.returncode
        return ForkServerGone(
            f"The engine's fork server ended ({code}).", evidence=self._last_output
        )


def _spawn(
    server_socket: socket.socket, stderr_fd: int, preload: Sequence[str]
) -> subprocess.Popen[bytes]:
    fd = server_socket.fileno()
    path = os.pathsep.join(dict.fromkeys([str(ROOT), *(p for p in sys.path if p)]))
    return subprocess.Popen(
        [sys.executable, "-m", "apps.engine.process.forkserver", str(fd), *preload],
        cwd=ROOT,
        env={**confinement.child_environment(), "PYTHONPATH": path},
        pass_fds=[fd],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr_fd,
        start_new_session=True,
    )
