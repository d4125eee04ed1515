"""Create folders as hostile code may leave them: too deep, too many, without access, with unprintable names."""

from __future__ import annotations

import ctypes
import os
import socket
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

DEPTH = 1_100  # more nested folders than the recursion limit of Python


def create_nested(folder: Path, *, depth: int = DEPTH, name: bytes = b"a") -> None:
    """Create nested folders, with a file in the innermost one."""
    current = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=current)
        inner = os.open(name, os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=current))
    os.close(current)


def create_without_access(folder: Path) -> None:
    """Create nested folders that nobody may access, not even their owner."""
    nested_folders = [folder / "x" / "x" / "x", folder / "x" / "x", folder / "x"]
    nested_folders[0].mkdir(parents=True)
    (nested_folders[0] / "file").touch()
    for path in nested_folders:
        path.chmod(0)


def create_unprintable_names(folder: Path) -> None:
    parent = os.fsencode(folder)
    for name in (b"\xff\xfe", b"line\nbreak", b"\x1b[2J", b"-rf", b"x" * 255):
        os.mkdir(os.path.join(parent, name))
        os.close(os.open(os.path.join(parent, name, name), os.O_CREAT))


def create_special_files(folder: Path) -> None:
    """Create a link to another folder, a link to itself, an unreadable file with two names, a pipe and a socket."""
    (folder / "out").symlink_to("/")
    (folder / "itself").symlink_to("itself")
    (folder / "file").write_bytes(b"x")
    (folder / "file").chmod(0)
    os.link(folder / "file", folder / "again")
    os.mkfifo(folder / "pipe")
    descriptor = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{descriptor}/socket")
    os.close(descriptor)


def create_many_folders(folder: Path) -> None:
    for number in range(300):
        (folder / f"{number}").mkdir()
        (folder / f"{number}" / "inner").mkdir()
        (folder / f"{number}" / "inner" / "file").touch()


TREES: dict[str, Callable[[Path], None]] = {
    "deep": create_nested,
    "deep with long names": lambda folder: create_nested(folder, depth=50, name=b"\xff" * 255),
    "no access": create_without_access,
    "unprintable names": create_unprintable_names,
    "special files": create_special_files,
    "many folders": create_many_folders,
}


def run_in_child(
    work: Callable[[], None],
    *,
    folder: Path,
    uid: int | None = None,
    capabilities: tuple[int, ...] | None = None,
) -> None:
    """Call `work` in a child process, in `folder`, as another user or with only these capabilities."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python 3.12 and later warn about forking a process with threads
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.chdir(folder)
            _give_up_rights(uid, capabilities)
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _give_up_rights(uid: int | None, capabilities: tuple[int, ...] | None) -> None:
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    elif capabilities is not None:
        bits = sum(1 << bit for bit in capabilities)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        sets = (ctypes.c_uint32 * 6)(bits, bits, 0, 0, 0, 0)
        assert ctypes.CDLL(None).capset(header, sets) == 0


def create_as_user(uid: int, tree_name: str, folder: Path) -> None:
    """Give the folder to another user and create the tree as that user. Works as root only."""
    os.chown(folder, uid, uid)
    folder.chmod(0o700)
    run_in_child(lambda: TREES[tree_name](Path()), folder=folder, uid=uid)
