"""Folders as hostile code leaves them: too deep, too many, closed to their owner, with unprintable names."""

from __future__ import annotations

import ctypes
import os
import socket
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

DEEP = 1_100  # nested folders: more than Python allows recursion


def nested(folder: Path, *, depth: int = DEEP, name: bytes = b"a") -> None:
    """Create nested folders, the innermost with a file."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def closed(folder: Path) -> None:
    """Create nested folders without any access, not even for their owner."""
    below = [folder / "x" / "x" / "x", folder / "x" / "x", folder / "x"]
    below[0].mkdir(parents=True)
    (below[0] / "file").touch()
    for path in below:
        path.chmod(0)


def unreadable_names(folder: Path) -> None:
    here = os.fsencode(folder)
    for name in (b"\xff\xfe", b"line\nbreak", b"\x1b[2J", b"-rf", b"x" * 255):
        os.mkdir(os.path.join(here, name))
        os.close(os.open(os.path.join(here, name, name), os.O_CREAT))


def things(folder: Path) -> None:
    """A link to the outside, a link to itself, two names of a file, a pipe, a socket, and an unreadable file."""
    (folder / "out").symlink_to("/")
    (folder / "itself").symlink_to("itself")
    (folder / "file").write_bytes(b"x")
    (folder / "file").chmod(0)
    os.link(folder / "file", folder / "again")
    os.mkfifo(folder / "pipe")
    where = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{where}/socket")
    os.close(where)


def wide(folder: Path) -> None:
    for number in range(300):
        (folder / f"{number}").mkdir()
        (folder / f"{number}" / "inner").mkdir()
        (folder / f"{number}" / "inner" / "file").touch()


TREES: dict[str, Callable[[Path], None]] = {
    "deep": nested,
    "deep with long names": lambda folder: nested(folder, depth=50, name=b"\xff" * 255),
    "closed": closed,
    "names": unreadable_names,
    "things": things,
    "wide": wide,
}


def in_child(
    work: Callable[[], None],
    *,
    where: Path,
    uid: int | None = None,
    capabilities: tuple[int, ...] | None = None,
) -> None:
    """Do it in a separate process and a folder of ours: as another user, or limited to these capabilities."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # about forking with threads, from Python 3.12 on
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.chdir(where)
            _become(uid, capabilities)
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _become(uid: int | None, capabilities: tuple[int, ...] | None) -> None:
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    elif capabilities is not None:
        held = sum(1 << bit for bit in capabilities)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        sets = (ctypes.c_uint32 * 6)(held, held, 0, 0, 0, 0)
        assert ctypes.CDLL(None).capset(header, sets) == 0


def made_by(uid: int, tree: str, folder: Path) -> None:
    """Do it as another user, who owns the folder from then on. As root only."""
    os.chown(folder, uid, uid)
    folder.chmod(0o700)
    in_child(lambda: TREES[tree](Path()), where=folder, uid=uid)
