"""`make clean DATA=yes` removes everything custom code left behind, but not the targets of links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local import clean
from tests.engine.sandbox import trees


@pytest.mark.parametrize("tree", ["deep", "no access", "unprintable names", "special files"])
def test_leftovers_of_code_are_removed_with_the_data(tree: str, tmp_path: Path) -> None:
    home, kept = tmp_path / "home", tmp_path / "kept"
    home.mkdir()
    kept.touch()
    kept.chmod(0o440)
    os.link(kept, home / "linked")
    trees.TREES[tree](home)
    clean.remove(home)
    assert not home.exists()
    assert kept.stat().st_mode & 0o777 == 0o440
