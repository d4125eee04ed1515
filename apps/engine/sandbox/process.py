"""Start a sandboxed Python process and clean up after it."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from apps.engine.failures import ConfigurationError
from apps.engine.sandbox import claims, disk, paths, roots, syscalls, users, workdirs
from apps.engine.sandbox.layers import ABI_TRUNCATE, Isolation, isolation, reaches
from apps.engine.sandbox.limits import Limits

LAUNCHER = paths.LIBRARY / "drover" / "_launcher.py"
WORK_INSIDE = f"/{roots.WORK}"
USERS = "users"
OPEN_FILES = 64
STACK = 8 << 20
MORE = (
    1 << 20
)  # extra bytes of a file system, so that exceeding the limit is detected and ends the code
THREADS = 64
TICKS = os.sysconf("SC_CLK_TCK")  # clock ticks per second in /proc


class TooWeak(ConfigurationError):
    """This machine cannot provide the isolation that its operator requires."""


@dataclass(frozen=True, slots=True)
class ConfinedProcess:
    """A started process and its resources. `work` is None where the folder disappears with the process.

    `user` is the claim of its user; None if it has our user or bubblewrap's.
    """

    process: subprocess.Popen[bytes]
    output_fd: int
    work: Path | None
    isolation: Isolation
    user: Path | None

    def watched(self, limit: int) -> disk.Watch:
        """Return the watch for the process's files; `limit` is in bytes."""
        return disk.Watch(self.process, self.work, WORK_INSIDE, limit)

    def remove(self) -> None:
        if self.work is not None:
            workdirs.remove(self.work)
        if self.user is not None:
            claims.release(self.user)


@dataclass(frozen=True, slots=True)
class SandboxSite:
    """Where sandboxes are created: a folder for prepared roots and work folders, and the least level accepted.

    `only` restricts the layers that are used, for tests.
    """

    home: str = ""
    least: str = "good"
    only: tuple[str, ...] | None = None


def start(
    code: str, *, ground: SandboxSite, limits: Limits, control_fd: int | None
) -> ConfinedProcess:
    """Start a confined process that will load `code`. Raises TooWeak."""
    chosen = isolation(ground.only)
    if not reaches(chosen.level, ground.least):
        raise _too_weak(chosen, ground.least)
    home = Path(ground.home or tempfile.gettempdir()) / f"drover-sandbox-{os.geteuid()}"
    user = None
    output, theirs = os.pipe2(os.O_CLOEXEC)
    try:
        if "uid" in chosen.layers:
            user = users.claimed(home / USERS)
        return _started(code, chosen, home, limits, (output, theirs), control_fd, user)
    except BaseException:
        os.close(output)
        if user is not None:
            claims.release(user)
        raise
    finally:
        os.close(theirs)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of the process and its children so far; 0 if it has ended."""
    used = 0.0
    try:
        # Read bytes: the code chooses the process name in it, which need not be valid text.
        stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        used += (int(stat[11]) + int(stat[12])) / TICKS
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return used
    return used + sum(cpu_seconds(int(child)) for child in below)


def _started(
    code: str,
    chosen: Isolation,
    home: Path,
    limits: Limits,
    pipe: tuple[int, int],
    control_fd: int | None,
    user: Path | None,
) -> ConfinedProcess:
    output, theirs = pipe
    found = paths.readable()
    layers = set(chosen.layers)
    uid = int(user.name) if user is not None else None
    root = roots.prepared(home, found) if "root" in layers else None
    work = None
    if "bwrap" not in layers:
        work = workdirs.create((root or home) / roots.WORK, uid)
    inside = _inside(work, root)
    spec = {
        "layers": chosen.layers,
        "parent": None if "bwrap" in layers else os.getpid(),
        "root": str(root) if root else None,
        "uid": uid,
        "work": inside,
        "library": str(paths.LIBRARY),
        "sites": found.sites,
        "packages": found.modules,
        "readable": [*found.files, found.certificates, *paths.SYSTEM, *paths.DEVICES],
        "listable": [*found.sites],
        "limits": _rlimits(limits, alone="uid" in layers),
        "filter": _filter(chosen),
        "output_fd": theirs,
        "control_fd": control_fd,
        "code": code,
    }
    passed = [theirs] if control_fd is None else [theirs, control_fd]
    command = [found.python, "-I", "-S", "-B", "-X", "utf8", str(LAUNCHER)]
    if "bwrap" in layers:
        command = [*_bwrap(chosen, found, limits), *command]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(found, inside),
            cwd="/",
            pass_fds=passed,
            bufsize=0,
        )
    except BaseException:
        if work is not None:
            workdirs.remove(work)
        raise
    _tell(process, spec)
    return ConfinedProcess(process, output, work, chosen, user)


def _tell(process: subprocess.Popen[bytes], spec: dict[str, Any]) -> None:
    """Write the specification. The child reads while we write, so this cannot deadlock."""
    line = memoryview(orjson.dumps(spec) + b"\n")
    assert process.stdin is not None  # noqa: S101 - it was asked for
    try:
        while line:
            line = line[os.write(process.stdin.fileno(), line) :]
    except BrokenPipeError:
        return  # It ended before it read; its exit status tells why.


def _inside(work: Path | None, root: Path | None) -> str:
    """Return the work folder's path as the process sees it."""
    if work is None:
        return WORK_INSIDE
    return str(work) if root is None else f"/{work.relative_to(root)}"


def _filter(chosen: Isolation) -> str:
    if "seccomp" not in chosen.layers:
        return ""
    governed = "landlock" in chosen.layers and chosen.machine.landlock >= ABI_TRUNCATE
    relayed = "bwrap" in chosen.layers
    governed = governed or relayed or "uid" in chosen.layers
    return base64.b64encode(syscalls.compiled(truncate=governed, relayed=relayed)).decode()


def _rlimits(limits: Limits, *, alone: bool) -> dict[str, int]:
    return {
        "memory": limits.memory,
        "cpu": limits.cpu_seconds,
        "file": limits.disk,
        "files": OPEN_FILES,
        "stack": STACK,
        "threads": THREADS if alone else 0,
    }


def _environment(found: paths.Readable, work: str) -> dict[str, str]:
    """Return the complete environment. Nothing of ours is inherited."""
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": work,
        "TMPDIR": work,
        "SSL_CERT_FILE": found.certificates,
        "MALLOC_ARENA_MAX": "2",
        "POLARS_MAX_THREADS": "1",
    }


def _bwrap(chosen: Isolation, found: paths.Readable, limits: Limits) -> Sequence[str]:
    command = [str(chosen.machine.bwrap), "--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]
    if os.geteuid() == 0:
        command += ["--unshare-user", "--uid", str(users.FIRST), "--gid", str(users.FIRST)]
    for name in ("/lib", "/lib64", "/bin"):
        if os.path.islink(name):
            command += ["--symlink", os.readlink(name), name]
    for path in (found.python, *found.files, found.certificates, *paths.SYSTEM):
        if not os.path.islink(path):
            command += ["--ro-bind-try", path, path]
    size = str(limits.disk + MORE)
    command += ["--dev", "/dev", "--size", size, "--tmpfs", WORK_INSIDE]
    for path in ("/", "/dev"):  # These are in-memory file systems too, without a size.
        command += ["--remount-ro", path]
    return [*command, "--chdir", WORK_INSIDE, "--"]


def _too_weak(chosen: Isolation, least: str) -> TooWeak:
    missing = tuple(f"{layer}: {why}" for layer, why in chosen.machine.missing.items())
    return TooWeak(
        f"This machine can isolate code only at level {chosen.level}, but {least} is required;"
        " `manage.py doctor` says what is missing",
        evidence=missing,
    )
