"""A process that imports all modules and then only forks: `python -m apps.engine.process.forkserver FD`.

It exchanges JSON datagrams with its owner over a SOCK_SEQPACKET socket:
    owner  -> {"op": "fork", "id": 7} with three descriptors: request (read), events (write), stderr (write)
    owner  -> {"op": "signal", "id": 7, "signal": 15}
    server -> {"op": "ready"}, {"op": "forked", "id": 7, "pid": 123},
              {"op": "refused", "id": 7, "error": "..."}, {"op": "exited", "id": 7, "status": 0}
This process sends the signals, because only the parent knows that the pid of a child was not reused.
When the owner exits, this process kills every child. When this process exits, the kernel kills them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import warnings
from types import FrameType
from typing import Any, NoReturn

from apps.engine.process import confinement
from apps.engine.sandbox import layers, paths

PRELOADED_MODULES = (
    "apps.engine.process.child",
    "psycopg",
)
# These modules use tens of megabytes, and most runs do not need them. A child that needs one imports it.
COSTLY_MODULES = {
    "apps.engine.destinations.duckdb",
    "apps.engine.sources.files",
    "apps.engine.sources.gsheets",
    "apps.engine.sources.kafka",
}
# Importing polars starts one thread, its spill cleaner. The thread has no locks and is never woken.
HARMLESS_THREADS = {"polars-ooc-clea"}
EXIT_FAILED = 70  # EX_SOFTWARE of sysexits.h


class ThreadsStarted(RuntimeError):
    """An import has started threads. A fork could copy a lock that is never released."""


def preload(extra_modules: list[str]) -> None:
    """Import the modules that children need. `extra_modules` are imported first, so that a wrong name fails at once.

    Raises `ThreadsStarted`.
    """
    for name in (*extra_modules, *PRELOADED_MODULES):
        importlib.import_module(name)
    for name in _connector_modules():
        with contextlib.suppress(ImportError):  # A connector may lack its optional dependency.
            importlib.import_module(name)
    # The children inherit these results, which take milliseconds to compute.
    layers.probe()
    paths.find_python_files()
    importlib.import_module("apps.engine.process.child").log_forwarder.add_handlers()
    require_single_thread()
    gc.collect()
    gc.freeze()


def require_single_thread() -> None:
    unexpected = [name for name in _other_threads() if name not in HARMLESS_THREADS]
    if unexpected:
        raise ThreadsStarted(f"Threads run before the fork: {', '.join(sorted(unexpected))}")


def _connector_modules() -> list[str]:
    from apps.engine import destinations, sources

    modules = {*sources.SOURCES.values(), *destinations.DESTINATIONS.values()}
    return sorted(modules - COSTLY_MODULES)


def _other_threads() -> list[str]:
    names = []
    for task in os.listdir("/proc/self/task"):
        if int(task) != os.getpid():
            with open(f"/proc/self/task/{task}/comm") as file:
                names.append(file.read().strip())
    return names


class ForkServer:
    """The main loop: receive requests, fork children, report exits."""

    def __init__(self, owner_socket: socket.socket) -> None:
        self._owner_socket = owner_socket
        self._child_ids: dict[int, int] = {}  # by pid

    def serve(self) -> None:
        """Run until the owner exits."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._send(op="ready")
        try:
            while True:
                ready, _, _ = select.select([self._owner_socket.fileno(), wake_read], [], [])
                if wake_read in ready:
                    os.read(wake_read, 4096)
                    self._reap()
                if self._owner_socket.fileno() in ready and not self._handle_request():
                    return
        finally:
            self._kill_all()

    def _handle_request(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._owner_socket, 4096, 3)
        except ConnectionResetError:
            return False
        if not data:
            return False
        request = json.loads(data)
        if request["op"] == "fork":
            self._fork(request["id"], fds)
        else:
            self._signal(request["id"], request["signal"])
        return True

    def _fork(self, child_id: int, fds: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._send(op="refused", id=child_id, error=str(error))
        else:
            if pid == 0:
                _become_child(*fds)
            self._child_ids[pid] = child_id
            self._send(op="forked", id=child_id, pid=pid)
        finally:
            for fd in fds:
                os.close(fd)

    def _signal(self, child_id: int, signum: int) -> None:
        for pid, each_id in self._child_ids.items():
            if each_id == child_id:
                _signal_group(pid, signum)

    def _reap(self) -> None:
        while self._child_ids:
            exited_child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if exited_child is None:
                return
            # Kill the processes that still run in the session of the child.
            _signal_group(exited_child.si_pid, signal.SIGKILL)
            pid, status = os.waitpid(exited_child.si_pid, 0)
            child_id = self._child_ids.pop(pid, None)
            if child_id is not None:
                self._send(op="exited", id=child_id, status=status)

    def _kill_all(self) -> None:
        for pid in self._child_ids:
            _signal_group(pid, signal.SIGKILL)
        deadline = time.monotonic() + 2
        while self._child_ids and time.monotonic() < deadline:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid:
                self._child_ids.pop(pid, None)
            else:
                time.sleep(0.01)

    def _send(self, **message: Any) -> None:
        # If the owner has closed the socket, the main loop ends when it reads the end of file.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._owner_socket.send(json.dumps(message).encode())


def _signal_group(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)  # The child may not have created its session yet.


def _ignore_signal(_signal: int, _frame: FrameType | None) -> None:
    """Do nothing. Python writes to the wake-up descriptor only for signals that have a handler."""


def _become_child(request_fd: int, events_fd: int, stderr_fd: int) -> NoReturn:
    status = EXIT_FAILED
    try:
        confinement.confine(request_fd, events_fd, stderr_fd)
        from apps.engine.process import child

        child.serve(request_fd, events_fd)
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        # Exit without the exit handlers of the server, and without waiting for threads of the child.
        os._exit(status)


def main(arguments: list[str]) -> None:
    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
    fd, *extra_modules = arguments
    owner_socket = socket.socket(fileno=int(fd))
    owner_socket.set_inheritable(False)
    preload(extra_modules)
    ForkServer(owner_socket).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
