"""Create a root folder for chroot that contains only Python. Files are hard links where possible, else copies.

One root is created below `home` for each version of the packages. Every user may read its folders, because
the sandboxed process has a separate user.
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
from apps.engine.sandbox.paths import LIBRARY, UNUSED_STDLIB, PythonFiles

WORK_FOLDER = "drover-scratch"
UNUSED_SECONDS = 86_400  # An old root is removed if it was not used for this time.
SYSTEM_DATA_FILES = ("/etc/ld.so.cache", "/usr/share/zoneinfo")
_LIBRARY_PATH = re.compile(r"(?:=> |^\s*)(/\S+) \(0x")


def prepare_root(home: Path, python_files: PythonFiles) -> Path:
    """Return the root for these packages, and create it if it does not exist. Raises OSError."""
    root = home / f"root-{_fingerprint(python_files)}"
    home.mkdir(parents=True, exist_ok=True)
    workdirs.sweep(home)
    if root.is_dir():
        return root
    draft = claims.claim_new_path(home, workdirs.DRAFT_PREFIX)
    try:
        draft.mkdir()
        draft.chmod(0o755)
        _fill_root(draft, python_files)
        with contextlib.suppress(OSError):  # Another process has just created the same root.
            draft.rename(root)
    finally:
        workdirs.remove(draft)
    _remove_old_roots(home, root)
    return root


def sweep(home: Path) -> None:
    """Remove the folders of processes that have exited, in the roots of all package versions. Never raises."""
    for base in (home, home / WORK_FOLDER, *(root / WORK_FOLDER for root in home.glob("root-*"))):
        if base.is_dir():
            workdirs.sweep(base)


def _remove_old_roots(home: Path, current_root: Path) -> None:
    """Remove the roots of other package versions that were not used for a day. Each upgrade leaves an old root."""
    for root in home.glob("root-*"):
        with contextlib.suppress(OSError):  # Another process has removed the root.
            unused_seconds = time.time() - (root / WORK_FOLDER).stat().st_mtime
            if (
                root != current_root
                and unused_seconds > UNUSED_SECONDS
                and not workdirs.is_in_use(root / WORK_FOLDER)
            ):
                workdirs.remove(root)


def _fingerprint(python_files: PythonFiles) -> str:
    digest = hashlib.sha256()
    for path in (python_files.executable, *python_files.files, *_python_files_below(LIBRARY)):
        digest.update(f"{path}:{os.stat(path).st_mtime_ns};".encode())
    return digest.hexdigest()[:16]


def _python_files_below(folder: Path) -> Iterator[str]:
    return (str(path) for path in sorted(folder.rglob("*.py")))


def _fill_root(root: Path, python_files: PythonFiles) -> None:
    umask = os.umask(0o022)
    try:
        root.chmod(0o755)
        for path in python_files.files:
            _link_files(
                path, root, skip=UNUSED_STDLIB if path in python_files.stdlib else frozenset()
            )
        compiled_modules = [str(p) for p in root.rglob("*.so*") if p.is_file()]
        for path in (
            python_files.executable,
            *_find_libraries((python_files.executable, *compiled_modules)),
            *SYSTEM_DATA_FILES,
        ):
            if os.path.exists(path):
                _link_files(path, root, skip=frozenset())
        for name in ("lib", "lib64"):
            if os.path.islink(f"/{name}") and not (root / name).exists():
                (root / name).symlink_to(os.readlink(f"/{name}"))
        (root / WORK_FOLDER).mkdir(mode=0o711)
    finally:
        os.umask(umask)


def _find_libraries(binaries: Iterable[str]) -> set[str]:
    """Return the shared libraries of the binaries, as the loader of this machine finds them."""
    output = subprocess.run(
        ["/usr/bin/ldd", *binaries],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={"PATH": "/usr/bin:/bin", "LANG": "C"},
    ).stdout
    paths = {match[1] for line in output.splitlines() if (match := _LIBRARY_PATH.search(line))}
    return {os.path.realpath(os.path.dirname(p)) + "/" + os.path.basename(p) for p in paths}


def _link_files(path: str, root: Path, *, skip: frozenset[str]) -> None:
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
            os.chmod(folder, 0o755)  # noqa: S103 - the sandboxed user may only read the folder
    elif not target.exists():
        _hard_link(os.path.realpath(path), str(target))


def _hard_link(source: str, target: str, *, follow_symlinks: bool = True) -> str:
    """Link a file that everyone may read, else copy it. A link shares its mode with the original file."""
    try:
        if os.stat(source).st_mode & 0o004:
            os.link(os.path.realpath(source), target)
            return target
    except OSError:
        pass  # The file is on another file system.
    shutil.copyfile(source, target)
    os.chmod(target, 0o644)
    source_stat = os.stat(source)  # A compiled module is valid only with its source's time.
    os.utime(target, ns=(source_stat.st_atime_ns, source_stat.st_mtime_ns))
    return target
