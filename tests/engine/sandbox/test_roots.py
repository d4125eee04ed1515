"""Prepared file systems: created once; those of an older installation are removed, unless in use.

No module in them has to be compiled at the start of a sandbox, which could not save the result.
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


def planted(home: Path, name: str, *, idle: float) -> Path:
    """Create a root of other packages that was last used `idle` seconds ago."""
    work = home / name / roots.WORK_FOLDER
    work.mkdir(parents=True)
    os.utime(work, (time.time() - idle, time.time() - idle))
    return home / name


def test_a_new_root_is_made_once_and_old_ones_go(tmp_path: Path) -> None:
    old = planted(tmp_path, "root-0123456789abcdef", idle=roots.UNUSED_SECONDS + 60)
    used = planted(tmp_path, "root-fedcba9876543210", idle=60)
    made = roots.prepare_root(tmp_path, paths.find_python_files())
    assert (made / roots.WORK_FOLDER).is_dir()
    assert not old.exists()
    assert used.exists()
    python = Path(paths.find_python_files().executable)
    assert python.exists(), "what was only linked stays"
    again = roots.prepare_root(tmp_path, paths.find_python_files())
    assert again == made
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([made.name, used.name])


def test_a_sweep_visits_every_root_and_keeps_those_in_use(tmp_path: Path) -> None:
    roots.sweep(tmp_path / "never made")
    bases = [tmp_path / roots.WORK_FOLDER, tmp_path / "root-0123456789abcdef" / roots.WORK_FOLDER]
    for base in bases:
        (base / f"{workdirs.WORK_PREFIX}left").mkdir(parents=True)
    used = workdirs.create(bases[1], None)
    (bases[1] / f"{workdirs.WORK_PREFIX}left").mkdir()
    roots.sweep(tmp_path)
    left = {path.name for base in bases for path in base.iterdir() if path.is_dir()}
    assert left == {used.name}
    workdirs.remove(used)


@pytest.mark.parametrize("kept", [True, False])
def test_the_authors_package_is_compiled_where_python_may_keep_it(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = shutil.copytree(
        paths.LIBRARY, tmp_path / "inside", ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(paths, "LIBRARY", library)
    monkeypatch.setattr(sys, "dont_write_bytecode", not kept)
    paths.find_python_files.__wrapped__()
    modules = sorted(library.rglob("*.py"))
    assert library / "drover" / "_serving.py" in modules
    assert [_has_compiled(module) for module in modules] == [kept] * len(modules)


def test_compiled_modules_are_valid_for_their_copies(tmp_path: Path) -> None:
    """Only files that everyone may read are linked, so these are copied, as from another file system."""
    module = tmp_path / "module.py"
    module.write_text("x = 1")
    module.chmod(0o600)
    os.utime(module, (1_000_000_000, 1_000_000_000))
    copied = Path(roots._hard_link(str(module), str(tmp_path / "copied.py")))
    assert copied.stat().st_ino != module.stat().st_ino
    assert copied.stat().st_mtime == 1_000_000_000


def _has_compiled(module: Path) -> bool:
    """Python accepts a compiled module that has its source's modification time."""
    compiled = Path(importlib.util.cache_from_source(str(module)))
    if not compiled.exists():
        return False
    time_of_source = int.from_bytes(compiled.read_bytes()[8:12], "little")
    return time_of_source == int(module.stat().st_mtime)
