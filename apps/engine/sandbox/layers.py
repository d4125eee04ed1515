"""Determine which isolation layers this machine supports, the level they reach together, and which are missing."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from apps.engine.sandbox import syscalls

Level = Literal["weak", "good", "strong"]
Layer = Literal["landlock", "seccomp", "root", "uid", "bwrap"]
LEVEL_RANKS: dict[str, int] = {"weak": 0, "good": 1, "strong": 2}

SYS_LANDLOCK_CREATE_RULESET = 444
LANDLOCK_CREATE_RULESET_VERSION = 1
ABI_TRUNCATE = 3  # the first Landlock ABI that controls truncate(2)
# The numbers of these capabilities are defined in <linux/capability.h>. Root has the capabilities. Another user has
# them if they are ambient, as in the container of the worker.
USER_CAPABILITIES = {"CHOWN": 0, "KILL": 5, "SETGID": 6, "SETUID": 7, "SYS_CHROOT": 18}
BWRAP_SECONDS = 5.0  # the longest time of a test of bubblewrap
SYSTEM_PATH = "/usr/bin:/bin"

LAYER_DESCRIPTIONS = {
    "landlock": "Landlock: no files except Python's own, no TCP, no signals to other processes",
    "seccomp": "seccomp: a list of allowed system calls",
    "root": "a separate file system (chroot)",
    "uid": "a separate user",
    "bwrap": "bubblewrap: separate namespaces",
}

SHARED_USER_RISK = (
    "code runs as Drover's own user, so it can see the names, sizes and times of that user's files"
    " and shares the limits that the system sets for each user"
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Which layers the kernel and the privileges of this process support.

    `missing` gives the reason for each unsupported layer.
    """

    landlock: int  # version of the Landlock ABI; 0 if Landlock is not available
    seccomp: bool
    # Whether this process may run the code as a separate user in a separate root folder, and kill it.
    may_change_user: bool
    bwrap: str | None
    missing: dict[str, str]


@dataclass(frozen=True, slots=True)
class Isolation:
    """The layers that will be used, and their level. If one of them cannot be applied, the code is not run."""

    layers: tuple[Layer, ...]
    level: Level
    machine: Machine

    @property
    def open_risks(self) -> str:
        """Return the risks of level good, or an empty text at another level."""
        return SHARED_USER_RISK if self.level == "good" else ""

    @property
    def summary(self) -> str:
        """Return the level and the layers as one line of text."""
        return f"{self.level} ({', '.join(self.layers) or 'no layer'})"


def choose_isolation(allowed_layers: Collection[str] | None = None) -> Isolation:
    """Choose all layers that this machine supports, or only those in `allowed_layers`."""
    machine = probe()
    available_layers: list[Layer] = []
    if machine.landlock:
        available_layers.append("landlock")
    if machine.seccomp:
        available_layers.append("seccomp")
    uses_bwrap = machine.bwrap is not None and (allowed_layers is None or "bwrap" in allowed_layers)
    if uses_bwrap:
        available_layers.append("bwrap")
    elif machine.may_change_user:
        available_layers += ["root", "uid"]
    layers = tuple(
        layer for layer in available_layers if allowed_layers is None or layer in allowed_layers
    )
    return Isolation(layers, level_of(layers), machine)


def level_of(layers: Collection[str]) -> Level:
    """Return the level of these layers.

    At `good`, the code cannot access files, and system calls are filtered. `strong` adds a separate user or namespaces.
    """
    chosen = set(layers)
    has_own_root = {"root", "uid"} <= chosen
    restricts_files = has_own_root or bool(chosen & {"landlock", "bwrap"})
    if not restricts_files or "seccomp" not in chosen:
        return "weak"
    return "strong" if has_own_root or "bwrap" in chosen else "good"


def is_at_least(level: str, required: str) -> bool:
    """Whether `level` is `required` or stronger. The result is False for an unknown level."""
    return LEVEL_RANKS.get(level, -1) >= LEVEL_RANKS.get(required, len(LEVEL_RANKS))


@lru_cache(maxsize=1)
def probe() -> Machine:
    """Test which layers this machine supports. The result is cached."""
    missing: dict[str, str] = {}
    landlock = _landlock_abi()
    if not landlock:
        missing["landlock"] = "the kernel is older than 5.13, or starts without lsm=landlock"
    seccomp = True
    try:
        syscalls.compile_filter(truncate=landlock >= ABI_TRUNCATE)
    except syscalls.FilterUnavailable as error:
        seccomp = False
        missing["seccomp"] = f"{error}; install libseccomp2"
    may_change_user = _may_change_user()
    if not may_change_user:
        missing["uid"] = (
            f"this process lacks one of the capabilities {', '.join(USER_CAPABILITIES)}"
        )
    bwrap, reason = _find_bwrap()
    if bwrap is None:
        missing["bwrap"] = reason
    return Machine(landlock, seccomp, may_change_user, bwrap, missing)


def _landlock_abi() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    version = ctypes.c_uint32(LANDLOCK_CREATE_RULESET_VERSION)
    abi: int = libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), version)
    return max(0, abi)


def _may_change_user() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            capabilities = int(line.split()[1], 16)
            return all(capabilities >> bit & 1 for bit in USER_CAPABILITIES.values())
    return False


def _find_bwrap() -> tuple[str | None, str]:
    path = shutil.which("bwrap", path=SYSTEM_PATH)
    if path is None:
        return None, "bubblewrap is not installed"
    command = [path, "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "/bin/true"]
    try:
        result = subprocess.run(command, capture_output=True, timeout=BWRAP_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"bubblewrap does not start: {error}"
    if result.returncode == 0:
        return path, ""
    error_line = result.stderr.decode(errors="replace").strip().partition("\n")[0]
    return None, f"bubblewrap may not create namespaces here: {error_line[:200]}"
