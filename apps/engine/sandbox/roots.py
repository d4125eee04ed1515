"""A root folder for chroot that contains only Python: hard links where possible, else copies.

Created below `home`, once for each version of the packages. The folders are readable by every user, because
the sandboxed process has its own user.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from apps.engine.sandbox import claims, workdirs
from apps.engine.sandbox.paths import LIBRARY, UNUSED_STDLIB, Readable

WORK = "drover-scratch"
OLD = 86_400  # seconds
LINKER = ("/etc/ld.so.cache", "/usr/share/zoneinfo")
_LIBRARY = re.compile(r"(?:=> |^\s*)(/\S+) \(0x")


def prepared(home: Path, readable: Readable) -> Path:
    """Return the root for these packages, creating it if necessary. Raises OSError."""
    root = home / f"root-{_fingerprint(readable)}"
    home.mkdir(parents=True, exist_ok=True)
    workdirs.sweep(home)
    if root.is_dir():
        return root
    draft = claims.claim(home, workdirs.DRAFT)
    try:
        draft.mkdir()
        draft.chmod(0o755)
        _fill(draft, readable)
        with contextlib.suppress(OSError):  # Another process was faster.
            draft.rename(root)
    finally:
        workdirs.remove(draft)
    _remove_old(home, root)
    return root


def sweep(home: Path) -> None:
    """Remove leftovers of dead processes, in the roots of all versions of the packages. Never raises."""
    for base in (home, home / WORK, *(root / WORK for root in home.glob("root-*"))):
        if base.is_dir():
            workdirs.sweep(base)


def _remove_old(home: Path, kept: Path) -> None:
    """Remove roots of other package versions unused for a day; an upgrade leaves one behind."""
    for old in home.glob("root-*"):
        with contextlib.suppress(OSError):  # Another process removes it too.
            idle = time.time() - (old / WORK).stat().st_mtime
            if old != kept and idle > OLD and not workdirs.in_use(old / WORK):
                workdirs.remove(old)


def _fingerprint(readable: Readable) -> str:
    state = hashlib.sha256()
    for path in (readable.python, *readable.files, *_below(LIBRARY)):
        state.update(f"{path}:{os.stat(path).st_mtime_ns};".encode())
    return state.hexdigest()[:16]


def _below(folder: Path) -> Iterator[str]:
    return (str(path) for path in sorted(folder.rglob("*.py")))


def _fill(root: Path, readable: Readable) -> None:
    umask = os.umask(0o022)
    try:
        root.chmod(0o755)
        for path in readable.files:
            _link(path, root, skip=UNUSED_STDLIB if path in readable.stdlib else frozenset())
        compiled = [str(p) for p in root.rglob("*.so*") if p.is_file()]
        for path in (readable.python, *_libraries((readable.python, *compiled)), *LINKER):
            if os.path.exists(path):
                _link(path, root, skip=frozenset())
        for name in ("lib", "lib64"):
            if os.path.islink(f"/{name}") and not (root / name).exists():
                (root / name).symlink_to(os.readlink(f"/{name}"))
        (root / WORK).mkdir(mode=0o711)
    finally:
        os.umask(umask)


def _libraries(binaries: Iterable[str]) -> set[str]:
    """Return the shared libraries that they are linked with, as this machine's loader finds them."""
    said = subprocess.run(
        ["/usr/bin/ldd", *binaries],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={"PATH": "/usr/bin:/bin", "LANG": "C"},
    ).stdout
    found = {match[1] for line in said.splitlines() if (match := _LIBRARY.search(line))}
    return {os.path.realpath(os.path.dirname(p)) + "/" + os.path.basename(p) for p in found}


def _link(path: str, root: Path, *, skip: frozenset[str]) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.isdir(path):
        shutil.copytree(
            path,
            target,
            copy_function=_hard_link,
            dirs_exist_ok=True,
            ignore=lambda folder, _: skip if folder == path else (),
        )
        for folder, _, _ in os.walk(target):
            os.chmod(folder, 0o755)  # noqa: S103 - the sandboxed user reads it, and only reads
    elif not target.exists():
        _hard_link(os.path.realpath(path), str(target))


def _hard_link(source: str, target: str, *, follow_symlinks: bool = True) -> str:
    """Link only files that everyone may already read, because changing the mode would change the original too."""
    try:
        if os.stat(source).st_mode & 0o004:
            os.link(os.path.realpath(source), target)
            return target
    except OSError:
        pass  # It is on another file system.
    shutil.copyfile(source, target)
    os.chmod(target, 0o644)
    found = os.stat(source)  # A compiled module is valid only for its source's modification time.
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    return target
