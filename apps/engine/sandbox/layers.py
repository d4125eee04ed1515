"""Determine which isolation layers this machine supports, how strong they are together, and what is missing."""

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
RANK: dict[str, int] = {"weak": 0, "good": 1, "strong": 2}

SYS_LANDLOCK_CREATE_RULESET = 444
LANDLOCK_CREATE_RULESET_VERSION = 1
ABI_TRUNCATE = 3  # the first Landlock ABI that controls truncate(2)
# Bits of <linux/capability.h>. Root has them; another user has them if they are ambient, as in the worker's
# container.
NEEDED_FOR_A_USER = {"CHOWN": 0, "KILL": 5, "SETGID": 6, "SETUID": 7, "SYS_CHROOT": 18}
BWRAP_SECONDS = 5.0
SYSTEM_PATH = "/usr/bin:/bin"

WHAT = {
    "landlock": "Landlock: no files except Python's own, no TCP, no signals to other processes",
    "seccomp": "seccomp: a list of allowed system calls",
    "root": "a file system of its own (chroot)",
    "uid": "a user of its own",
    "bwrap": "bubblewrap: namespaces of its own",
}

SHARED_USER = (
    "code runs as Drover's own user, so it can learn names, sizes and times of that user's files"
    " and uses up what the system grants each user"
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the kernel and this process's privileges support.

    `missing` gives the reason for each unsupported layer.
    """

    landlock: int  # version of its ABI, 0 if not available
    seccomp: bool
    users: bool  # whether this process may give the code its own user and root, and kill it
    bwrap: str | None
    missing: dict[str, str]


@dataclass(frozen=True, slots=True)
class Isolation:
    """The layers that will be used. If one of them cannot be applied, the code is not run."""

    layers: tuple[Layer, ...]
    level: Level
    machine: Machine

    @property
    def left_open(self) -> str:
        """Return the risks that these layers do not cover; empty at level strong."""
        return SHARED_USER if self.level == "good" else ""

    @property
    def explained(self) -> str:
        """Return one line for people: the level and its layers."""
        return f"{self.level} ({', '.join(self.layers) or 'no layer'})"


def isolation(only: Collection[str] | None = None) -> Isolation:
    """Return all layers of this machine, or those of them that are in `only`."""
    machine = probe()
    offered: list[Layer] = []
    if machine.landlock:
        offered.append("landlock")
    if machine.seccomp:
        offered.append("seccomp")
    own_files = machine.bwrap is not None and (only is None or "bwrap" in only)
    if own_files:
        offered.append("bwrap")
    elif machine.users:
        offered += ["root", "uid"]
    layers = tuple(layer for layer in offered if only is None or layer in only)
    return Isolation(layers, level_of(layers), machine)


def level_of(layers: Collection[str]) -> Level:
    """strong: files closed, system calls filtered, and a separate user or namespaces. good: only the first two."""
    held = set(layers)
    own_root = {"root", "uid"} <= held
    closed = own_root or bool(held & {"landlock", "bwrap"})
    if not closed or "seccomp" not in held:
        return "weak"
    return "strong" if own_root or "bwrap" in held else "good"


def reaches(level: str, least: str) -> bool:
    """Whether `level` is at least `least`; an unknown level never is."""
    return RANK.get(level, -1) >= RANK.get(least, len(RANK))


@lru_cache(maxsize=1)
def probe() -> Machine:
    """Probe the machine, once per process; takes a few milliseconds."""
    missing: dict[str, str] = {}
    landlock = _landlock()
    if not landlock:
        missing["landlock"] = "the kernel is older than 5.13, or starts without lsm=landlock"
    seccomp = True
    try:
        syscalls.compiled(truncate=landlock >= ABI_TRUNCATE)
    except syscalls.FilterUnavailable as error:
        seccomp = False
        missing["seccomp"] = f"{error}; install libseccomp2"
    users = _may_change_user()
    if not users:
        missing["uid"] = f"this process lacks a capability of {', '.join(NEEDED_FOR_A_USER)}"
    bwrap, why = _bwrap()
    if bwrap is None:
        missing["bwrap"] = why
    return Machine(landlock, seccomp, users, bwrap, missing)


def _landlock() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    version = ctypes.c_uint32(LANDLOCK_CREATE_RULESET_VERSION)
    abi: int = libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), version)
    return max(0, abi)


def _may_change_user() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            held = int(line.split()[1], 16)
            return all(held >> bit & 1 for bit in NEEDED_FOR_A_USER.values())
    return False


def _bwrap() -> tuple[str | None, str]:
    found = shutil.which("bwrap", path=SYSTEM_PATH)
    if found is None:
        return None, "bubblewrap is not installed"
    trial = [found, "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "/bin/true"]
    try:
        ended = subprocess.run(trial, capture_output=True, timeout=BWRAP_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"bubblewrap does not start: {error}"
    if ended.returncode == 0:
        return found, ""
    said = ended.stderr.decode(errors="replace").strip().partition("\n")[0]
    return None, f"bubblewrap may not create namespaces here: {said[:200]}"
