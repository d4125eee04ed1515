"""Drop the privileges of a freshly forked child before it gets any secret."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

from apps.engine.contract import ChildLimits

# Values of <linux/prctl.h>.
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4

KEPT_VARIABLES = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
TUNING = {
    "ARROW_DEFAULT_MEMORY_POOL": "mimalloc",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # Prevents threads before a fork.
    "MALLOC_ARENA_MAX": "2",
    "MIMALLOC_ARENA_RESERVE": "65536",  # KiB; the default of one GiB would count against the limit
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "2",
    "_RJEM_MALLOC_CONF": "background_thread:false,dirty_decay_ms:500,muzzy_decay_ms:-1",
}
KILLED_FIRST = "500"  # oom_score_adj: the kernel kills a run before the worker that supervises it

_libc = ctypes.CDLL(None, use_errno=True)


def environment() -> dict[str, str]:
    """Return the whole environment of the fork server and of every child."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **kept, **TUNING}


def confine(request_fd: int, events_fd: int, stderr_fd: int) -> None:
    """Start a new session, close inherited descriptors, disable core dumps, and die with the fork server.

    Raises OSError when the kernel refuses.
    """
    parent = os.getppid()
    os.setsid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # The server died before PR_SET_PDEATHSIG was in effect.
    _reset_signals()
    _keep_only(request_fd, events_fd, stderr_fd)
    _scrub_environment()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(KILLED_FIRST)
    _prctl(PR_SET_DUMPABLE, 0)  # Neither a debugger nor another user can read our memory.


def limit(limits: ChildLimits) -> None:
    """Limit address space (MemoryError when exceeded) and CPU time (SIGXCPU when exceeded).

    Only the soft limits are set: a sandbox is a child of this process and has its own limits.
    """
    _lower(resource.RLIMIT_AS, limits.memory)
    if limits.cpu_seconds is not None:
        _lower(resource.RLIMIT_CPU, limits.cpu_seconds)


def _lower(what: int, soft: int) -> None:
    before, hard = resource.getrlimit(what)
    set_already = [each for each in (before, hard) if each != resource.RLIM_INFINITY]
    resource.setrlimit(what, (min([soft, *set_already]), hard))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _keep_only(request_fd: int, events_fd: int, stderr_fd: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(stderr_fd, 1)
    os.dup2(stderr_fd, 2)
    keep = {request_fd, events_fd}
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in keep:
            _close(fd)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        return  # the descriptor of the directory listing itself


def _scrub_environment() -> None:
    kept = environment()
    os.environ.clear()
    os.environ.update(kept)
