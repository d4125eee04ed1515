"""`make clean DATA=yes` removes all files that custom code left in the home, but not files that links refer to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local import clean
from tests.engine.sandbox import trees


@pytest.mark.parametrize("tree", ["deep", "no access", "unprintable names", "special files"])
def test_clean_removes_files_of_custom_code_and_does_not_change_linked_files(
    tree: str, tmp_path: Path
) -> None:
    home, outside_file = tmp_path / "home", tmp_path / "outside_file"
    home.mkdir()
    outside_file.touch()
    outside_file.chmod(0o440)
    os.link(outside_file, home / "linked")
    trees.TREES[tree](home)
    clean.remove_folder(home)
    assert not home.exists()
    assert outside_file.stat().st_mode & 0o777 == 0o440
