"""Start a sandboxed Python process, and remove its folder and user id afterwards."""

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
from apps.engine.sandbox.layers import ABI_TRUNCATE, Isolation, choose_isolation, is_at_least
from apps.engine.sandbox.limits import Limits

LAUNCHER = paths.LIBRARY / "drover" / "_launcher.py"
WORK_PATH_INSIDE = f"/{roots.WORK_FOLDER}"
USERS_FOLDER = "users"
MAX_OPEN_FILES = 64
MAX_STACK = 8 << 20
# The file system of a sandbox has this much more space than the disk limit. The code can then exceed the limit, so
# that the disk watch kills it.
EXTRA_BYTES = 1 << 20
MAX_THREADS = 64
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")  # clock ticks per second in /proc


class IsolationTooWeak(ConfigurationError):
    """This machine cannot provide the isolation that its operator requires."""


@dataclass(frozen=True, slots=True)
class ConfinedProcess:
    """A started process and its resources.

    `work_folder` is None if the kernel removes the folder when the process ends. `user_claim` is the claim on its user
    id; None if the process runs as our user or as bubblewrap's user.
    """

    process: subprocess.Popen[bytes]
    output_fd: int
    work_folder: Path | None
    isolation: Isolation
    user_claim: Path | None

    def disk_watch(self, limit: int) -> disk.DiskWatch:
        """Return a watch that limits the process's files to `limit` bytes."""
        return disk.DiskWatch(self.process, self.work_folder, WORK_PATH_INSIDE, limit)

    def remove_resources(self) -> None:
        """Remove the work folder and release the user id. The process must have ended."""
        if self.work_folder is not None:
            workdirs.remove(self.work_folder)
        if self.user_claim is not None:
            claims.release(self.user_claim)


@dataclass(frozen=True, slots=True)
class SandboxSite:
    """Where sandboxes are created, and the isolation that they must have.

    `home` is the folder for roots and work folders, and `min_level` the weakest level that is accepted. In tests,
    `allowed_layers` restricts the layers that are used.
    """

    home: str = ""
    min_level: str = "good"
    allowed_layers: tuple[str, ...] | None = None


def start(
    code: str, *, site: SandboxSite, limits: Limits, control_fd: int | None
) -> ConfinedProcess:
    """Start a confined process that will load `code`. Raises IsolationTooWeak."""
    isolation = choose_isolation(site.allowed_layers)
    if not is_at_least(isolation.level, site.min_level):
        raise _too_weak_error(isolation, site.min_level)
    home = Path(site.home or tempfile.gettempdir()) / f"drover-sandbox-{os.geteuid()}"
    user_claim = None
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    try:
        if "uid" in isolation.layers:
            user_claim = users.claim_user_id(home / USERS_FOLDER)
        return _start_process(
            code, isolation, home, limits, (read_fd, write_fd), control_fd, user_claim
        )
    except BaseException:
        os.close(read_fd)
        if user_claim is not None:
            claims.release(user_claim)
        raise
    finally:
        os.close(write_fd)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of the process and its children so far; 0 if it has ended."""
    seconds = 0.0
    try:
        # Read bytes, because the code chooses the process name in this file, and it may be invalid text.
        stat_fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        seconds += (int(stat_fields[11]) + int(stat_fields[12])) / TICKS_PER_SECOND
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return seconds
    return seconds + sum(cpu_seconds(int(child)) for child in children)


def _start_process(
    code: str,
    isolation: Isolation,
    home: Path,
    limits: Limits,
    output_pipe: tuple[int, int],
    control_fd: int | None,
    user_claim: Path | None,
) -> ConfinedProcess:
    read_fd, write_fd = output_pipe
    python_files = paths.find_python_files()
    layers = set(isolation.layers)
    uid = int(user_claim.name) if user_claim is not None else None
    root = roots.prepare_root(home, python_files) if "root" in layers else None
    work_folder = None
    if "bwrap" not in layers:
        work_folder = workdirs.create((root or home) / roots.WORK_FOLDER, uid)
    work_path_inside = _path_inside(work_folder, root)
    spec = {
        "layers": isolation.layers,
        "parent": None if "bwrap" in layers else os.getpid(),
        "root": str(root) if root else None,
        "uid": uid,
        "work": work_path_inside,
        "library": str(paths.LIBRARY),
        "sites": python_files.sites,
        "packages": python_files.modules,
        "readable": _readable_paths(python_files),
        "listable": [*python_files.sites],
        "limits": _rlimits(limits, has_own_user="uid" in layers),
        "filter": _encoded_filter(isolation),
        "output_fd": write_fd,
        "control_fd": control_fd,
        "code": code,
    }
    try:
        process = _launch(
            _command(isolation, python_files, limits),
            _environment(python_files, work_path_inside),
            pass_fds=[fd for fd in (write_fd, control_fd) if fd is not None],
        )
    except BaseException:
        if work_folder is not None:
            workdirs.remove(work_folder)
        raise
    _send_spec(process, spec)
    return ConfinedProcess(process, read_fd, work_folder, isolation, user_claim)


def _command(isolation: Isolation, python_files: paths.PythonFiles, limits: Limits) -> list[str]:
    command = [python_files.executable, "-I", "-S", "-B", "-X", "utf8", str(LAUNCHER)]
    if "bwrap" in isolation.layers:
        return [*_bwrap_command(isolation, python_files, limits), *command]
    return command


def _launch(
    command: list[str], environment: dict[str, str], *, pass_fds: list[int]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd="/",
        pass_fds=pass_fds,
        bufsize=0,
    )


def _readable_paths(python_files: paths.PythonFiles) -> list[str]:
    system_paths = (*paths.SYSTEM_FILES, *paths.DEVICE_FILES)
    return [*python_files.files, python_files.certificates, *system_paths]


def _send_spec(process: subprocess.Popen[bytes], spec: dict[str, Any]) -> None:
    """Write the specification. The child reads it at the same time, so this cannot deadlock."""
    line = memoryview(orjson.dumps(spec) + b"\n")
    assert process.stdin is not None  # noqa: S101 - Popen was called with a pipe
    try:
        while line:
            line = line[os.write(process.stdin.fileno(), line) :]
    except BrokenPipeError:
        return  # The process ended before it read the line. Its exit status shows why.


def _path_inside(work_folder: Path | None, root: Path | None) -> str:
    """Return the work folder's path as the process sees it."""
    if work_folder is None:
        return WORK_PATH_INSIDE
    return str(work_folder) if root is None else f"/{work_folder.relative_to(root)}"


def _encoded_filter(isolation: Isolation) -> str:
    if "seccomp" not in isolation.layers:
        return ""
    truncate_is_controlled = (
        "landlock" in isolation.layers and isolation.machine.landlock >= ABI_TRUNCATE
    )
    uses_bwrap = "bwrap" in isolation.layers
    truncate_is_controlled = truncate_is_controlled or uses_bwrap or "uid" in isolation.layers
    return base64.b64encode(
        syscalls.compile_filter(truncate=truncate_is_controlled, reported_by_bwrap=uses_bwrap)
    ).decode()


def _rlimits(limits: Limits, *, has_own_user: bool) -> dict[str, int]:
    return {
        "memory": limits.memory,
        "cpu": limits.cpu_seconds,
        "file_size": limits.disk,
        "open_files": MAX_OPEN_FILES,
        "stack": MAX_STACK,
        "threads": MAX_THREADS if has_own_user else 0,
    }


def _environment(python_files: paths.PythonFiles, work_folder: str) -> dict[str, str]:
    """Return the complete environment of the process, which inherits no variable of ours."""
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": work_folder,
        "TMPDIR": work_folder,
        "SSL_CERT_FILE": python_files.certificates,
        "MALLOC_ARENA_MAX": "2",
        "POLARS_MAX_THREADS": "1",
    }


def _bwrap_command(
    isolation: Isolation, python_files: paths.PythonFiles, limits: Limits
) -> Sequence[str]:
    command = [
        str(isolation.machine.bwrap),
        "--unshare-all",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
    ]
    if os.geteuid() == 0:
        command += ["--unshare-user", "--uid", str(users.FIRST_UID), "--gid", str(users.FIRST_UID)]
    for name in ("/lib", "/lib64", "/bin"):
        if os.path.islink(name):
            command += ["--symlink", os.readlink(name), name]
    for path in (
        python_files.executable,
        *python_files.files,
        python_files.certificates,
        *paths.SYSTEM_FILES,
    ):
        if not os.path.islink(path):
            command += ["--ro-bind-try", path, path]
    size = str(limits.disk + EXTRA_BYTES)
    command += ["--dev", "/dev", "--size", size, "--tmpfs", WORK_PATH_INSIDE]
    # The file systems of / and /dev are in memory and have no size limit, so make them read-only.
    command += ["--remount-ro", "/", "--remount-ro", "/dev"]
    return [*command, "--chdir", WORK_PATH_INSIDE, "--"]


def _too_weak_error(isolation: Isolation, min_level: str) -> IsolationTooWeak:
    missing = tuple(f"{layer}: {reason}" for layer, reason in isolation.machine.missing.items())
    return IsolationTooWeak(
        f"This machine can isolate code only at level {isolation.level}, but {min_level} is required;"
        " `manage.py doctor` shows what is missing",
        evidence=missing,
    )
