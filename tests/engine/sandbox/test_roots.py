"""Prepared file systems: made once, and those of an older installation removed, never one in use."""

from __future__ import annotations

import os
import time
from pathlib import Path

from apps.engine.sandbox import paths, roots


def planted(home: Path, name: str, *, idle: float) -> Path:
    """A root of other packages in which something began `idle` seconds ago."""
    work = home / name / roots.WORK
    work.mkdir(parents=True)
    os.utime(work, (time.time() - idle, time.time() - idle))
    return home / name


def test_a_new_root_is_made_once_and_old_ones_go(tmp_path: Path) -> None:
    old = planted(tmp_path, "root-0123456789abcdef", idle=roots.OLD + 60)
    used = planted(tmp_path, "root-fedcba9876543210", idle=60)
    made = roots.prepared(tmp_path, paths.readable())
    assert (made / roots.WORK).is_dir()
    assert not old.exists()
    assert used.exists()
    python = Path(paths.readable().python)
    assert python.exists(), "what was only linked stays"
    again = roots.prepared(tmp_path, paths.readable())
    assert again == made
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([made.name, used.name])
