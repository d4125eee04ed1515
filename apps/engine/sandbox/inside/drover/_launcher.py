"""The entry point of a sandboxed process: confine this process, then serve the source.

It is started as a script with `python -I -S -B`. One JSON line on standard input describes the confinement. The
order matters: limits, separate root, separate user, no new privileges, Landlock, seccomp, and then the user's code.
If a requested layer is not available, the process exits with code 97. After `ready` was sent, this exit code has no
meaning, because the user's code can use it too.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

EXIT_UNCONFINED = 97
EXIT_ORPHANED = 98

# <linux/prctl.h>
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
# <asm/unistd.h>, the same on x86_64 and arm64
SYS_LANDLOCK_CREATE_RULESET = 444
SYS_LANDLOCK_ADD_RULE = 445
SYS_LANDLOCK_RESTRICT_SELF = 446
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_RULE_PATH_BENEATH = 1
# <linux/capability.h>
LINUX_CAPABILITY_VERSION_3 = 0x20080522
# <linux/landlock.h>: LANDLOCK_ACCESS_FS_*
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, MAKE_SYM = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 12
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
WORK_RIGHTS = READ_FILE | READ_DIR | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG
WORK_RIGHTS |= MAKE_SYM | TRUNCATE
# <linux/seccomp.h>
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    requests = sys.stdin.buffer
    spec: dict[str, Any] = json.loads(requests.readline())
    layers: set[str] = set(spec["layers"])
    _exit_with_parent(spec)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Ignore signals that are for the supervisor. The supervisor kills this process itself.
        signal.signal(number, signal.SIG_IGN)
    _apply_or_exit("limits", lambda: _set_limits(spec["limits"]))
    if "root" in layers:
        _apply_or_exit("root", lambda: _enter_root(spec["root"]))
    if "uid" in layers:
        _apply_or_exit("uid", lambda: _become_user(spec["uid"]))
        # The change of user has reset the parent-death signal, and the access to /proc that measuring needs.
        _exit_with_parent(spec)
        _apply_or_exit("measuring", lambda: _prctl(PR_SET_DUMPABLE, 1))
    _apply_or_exit("capabilities", _drop_capabilities)
    _apply_or_exit("no new privileges", lambda: _prctl(PR_SET_NO_NEW_PRIVS, 1))
    sys.path[:] = [spec["library"], *sys.path[1:], *spec["sites"]]
    os.chdir(spec["work"] or "/")
    from drover import _files, _serving, _sockets

    _sockets.install(spec["control_fd"])
    _files.install(spec["work"])
    if "landlock" in layers:
        _apply_or_exit("landlock", lambda: _apply_landlock(spec))
    if "seccomp" in layers:
        _apply_or_exit("seccomp", lambda: _apply_seccomp(base64.b64decode(spec["filter"])))
    _serving.serve(requests, spec)


def _apply_or_exit(layer: str, apply: Callable[[], None]) -> None:
    try:
        apply()
    except Exception as error:
        os.write(2, f"sandbox: {layer} is not available: {error!r}\n".encode())
        os._exit(EXIT_UNCONFINED)


def _exit_with_parent(spec: dict[str, Any]) -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if spec["parent"] is not None and os.getppid() != spec["parent"]:
        os._exit(EXIT_ORPHANED)  # The parent exited before PR_SET_PDEATHSIG was in effect.


def _set_limits(limits: dict[str, int]) -> None:
    """Set the limits.

    `memory`, `file_size` and `stack` are in bytes, `cpu` is in seconds, `open_files` and `threads` are counts.
    """
    hard_limits = {
        resource.RLIMIT_AS: limits["memory"],
        resource.RLIMIT_FSIZE: limits["file_size"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_STACK: limits["stack"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for resource_id, value in hard_limits.items():
        resource.setrlimit(resource_id, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu"], limits["cpu"] + 1))
    if limits["threads"]:
        resource.setrlimit(resource.RLIMIT_NPROC, (limits["threads"], limits["threads"]))
    os.nice(5)  # The threads of the worker get the CPU first.


def _enter_root(root: str) -> None:
    os.chroot(root)
    os.chdir("/")


def _become_user(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _drop_capabilities()  # A change of user drops the capabilities of root only.
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise RuntimeError("the user could be changed back")


def _drop_capabilities() -> None:
    """Drop all capabilities, because the process may still be root."""
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    no_capabilities = (ctypes.c_uint32 * 6)()
    _check_result(_libc.capset(header, no_capabilities))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("access", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def _apply_landlock(spec: dict[str, Any]) -> None:
    """Allow the process to read Python's files and to write the work folder.

    Forbid TCP, signals to other processes, and their abstract sockets, as far as the kernel supports it.
    """
    version = ctypes.c_uint32(LANDLOCK_CREATE_RULESET_VERSION)
    abi = _libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), version)
    if abi < 1:
        raise OSError(ctypes.get_errno(), "Landlock is not available")
    handled_rights = (1 << 13) - 1
    for first_abi, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        handled_rights |= right if abi >= first_abi else 0
    ruleset_attributes = _Ruleset(handled_rights, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset_fd = _check_result(
        _libc.syscall(
            SYS_LANDLOCK_CREATE_RULESET,
            ctypes.byref(ruleset_attributes),
            ctypes.c_size_t(size),
            ctypes.c_uint32(0),
        )
    )
    for path in spec["readable"]:
        _allow(ruleset_fd, path, READ_FILE | READ_DIR)
    for path in spec["listable"]:
        _allow(ruleset_fd, path, READ_DIR)
    if spec["work"]:
        _allow(ruleset_fd, spec["work"], WORK_RIGHTS & handled_rights)
    _check_result(_libc.syscall(SYS_LANDLOCK_RESTRICT_SELF, ruleset_fd, ctypes.c_uint32(0)))
    os.close(ruleset_fd)


def _allow(ruleset_fd: int, path: str, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):
        access &= FILE_RIGHTS
    rule = _PathBeneath(access, fd)
    _check_result(
        _libc.syscall(
            SYS_LANDLOCK_ADD_RULE,
            ruleset_fd,
            LANDLOCK_RULE_PATH_BENEATH,
            ctypes.byref(rule),
            ctypes.c_uint32(0),
        )
    )
    os.close(fd)


def _check_result(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def _apply_seccomp(instructions: bytes) -> None:
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = _Program(len(instructions) // 8, ctypes.addressof(buffer))
    _check_result(_libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0))


if __name__ == "__main__":
    main()
