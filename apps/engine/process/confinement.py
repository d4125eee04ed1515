"""Isolate and limit a forked child before it receives any secret."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

from apps.engine.contract import ChildLimits

# Values of <linux/prctl.h>
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4

INHERITED_VARIABLES = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
LIBRARY_SETTINGS = {
    "ARROW_DEFAULT_MEMORY_POOL": "mimalloc",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # No threads may run before a fork.
    "MALLOC_ARENA_MAX": "2",
    "MIMALLOC_ARENA_RESERVE": "65536",  # KiB; the default of one GiB would count against the limit
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "2",
    "_RJEM_MALLOC_CONF": "background_thread:false,dirty_decay_ms:500,muzzy_decay_ms:0",
}
OOM_SCORE = "500"  # oom_score_adj: makes the kernel kill a run before it kills the worker

_libc = ctypes.CDLL(None, use_errno=True)


def child_environment() -> dict[str, str]:
    """Return the complete environment of the fork server and of every child."""
    inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **inherited, **LIBRARY_SETTINGS}


def confine(request_fd: int, events_fd: int, stderr_fd: int) -> None:
    """Start a new session, close inherited descriptors, replace the environment, and disable core dumps.

    Also let the kernel kill this process when the fork server exits. Raises OSError if a system call fails.
    """
    parent = os.getppid()
    os.setsid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # The server exited before PR_SET_PDEATHSIG was in effect.
    _reset_signals()
    _close_other_descriptors(request_fd, events_fd, stderr_fd)
    _replace_environment()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(OOM_SCORE)
    _prctl(PR_SET_DUMPABLE, 0)  # Debuggers and other users cannot read the memory of this process.


def set_limits(limits: ChildLimits) -> None:
    """Limit address space (MemoryError when exceeded) and CPU time (SIGXCPU when exceeded).

    Sets only the soft limits, because a sandbox is a child of this process and has other limits.
    """
    _lower_limit(resource.RLIMIT_AS, limits.memory)
    if limits.cpu_seconds is not None:
        _lower_limit(resource.RLIMIT_CPU, limits.cpu_seconds)


def _lower_limit(resource_id: int, soft: int) -> None:
    current, hard = resource.getrlimit(resource_id)
    existing = [value for value in (current, hard) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource_id, (min([soft, *existing]), hard))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _close_other_descriptors(request_fd: int, events_fd: int, stderr_fd: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(stderr_fd, 1)
    os.dup2(stderr_fd, 2)
    needed_fds = {request_fd, events_fd}
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in needed_fds:
            _close(fd)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        return  # This was the descriptor of the directory listing.


def _replace_environment() -> None:
    variables = child_environment()
    os.environ.clear()
    os.environ.update(variables)
