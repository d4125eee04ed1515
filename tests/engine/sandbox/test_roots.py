"""The root file system of sandboxes is created once. The unused root of an older installation is removed.

Its Python modules are compiled in advance, because a sandbox cannot save compiled modules.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from apps.engine.sandbox import paths, roots, workdirs


def create_root(home: Path, name: str, *, idle_seconds: float) -> Path:
    """Create a root of another installation, last used `idle_seconds` ago."""
    work = home / name / roots.WORK_FOLDER
    work.mkdir(parents=True)
    os.utime(work, (time.time() - idle_seconds, time.time() - idle_seconds))
    return home / name


def test_a_root_is_created_once_and_old_ones_are_removed(tmp_path: Path) -> None:
    old_root = create_root(
        tmp_path, "root-0123456789abcdef", idle_seconds=roots.UNUSED_SECONDS + 60
    )
    used_root = create_root(tmp_path, "root-fedcba9876543210", idle_seconds=60)
    root = roots.prepare_root(tmp_path, paths.find_python_files())
    assert (root / roots.WORK_FOLDER).is_dir()
    assert not old_root.exists()
    assert used_root.exists()
    python = Path(paths.find_python_files().executable)
    assert python.exists(), "the target of a link was removed"
    second = roots.prepare_root(tmp_path, paths.find_python_files())
    assert second == root
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([root.name, used_root.name])


def test_a_sweep_removes_unused_work_folders_of_every_root(tmp_path: Path) -> None:
    roots.sweep(tmp_path / "never made")
    bases = [tmp_path / roots.WORK_FOLDER, tmp_path / "root-0123456789abcdef" / roots.WORK_FOLDER]
    for base in bases:
        (base / f"{workdirs.WORK_PREFIX}left").mkdir(parents=True)
    used_folder = workdirs.create(bases[1], None)
    (bases[1] / f"{workdirs.WORK_PREFIX}left").mkdir()
    roots.sweep(tmp_path)
    remaining = {path.name for base in bases for path in base.iterdir() if path.is_dir()}
    assert remaining == {used_folder.name}
    workdirs.remove(used_folder)


@pytest.mark.parametrize("may_write", [True, False])
def test_the_drover_package_is_compiled_if_python_may_write_bytecode(
    may_write: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = shutil.copytree(
        paths.LIBRARY, tmp_path / "inside", ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(paths, "LIBRARY", library)
    monkeypatch.setattr(sys, "dont_write_bytecode", not may_write)
    paths.find_python_files.__wrapped__()
    modules = sorted(library.rglob("*.py"))
    assert library / "drover" / "_serving.py" in modules
    assert [_is_compiled(module) for module in modules] == [may_write] * len(modules)


def test_compiled_modules_are_valid_for_their_copies(tmp_path: Path) -> None:
    """Files that not everyone may read are copied. The copies keep the modification time."""
    module = tmp_path / "module.py"
    module.write_text("x = 1")
    module.chmod(0o600)
    os.utime(module, (1_000_000_000, 1_000_000_000))
    copied = Path(roots._hard_link(str(module), str(tmp_path / "copied.py")))
    assert copied.stat().st_ino != module.stat().st_ino
    assert copied.stat().st_mtime == 1_000_000_000


def _is_compiled(module: Path) -> bool:
    """Whether Python accepts the compiled module, because it stores the modification time of its source."""
    compiled = Path(importlib.util.cache_from_source(str(module)))
    if not compiled.exists():
        return False
    source_time = int.from_bytes(compiled.read_bytes()[8:12], "little")
    return source_time == int(module.stat().st_mtime)
