"""Everything that code left behind is removed, with the least rights; targets of links are kept."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from apps.engine.sandbox import removal
from tests.engine.sandbox import trees

STRANGER, OURSELVES = 61_184, 65_534
MINUTE = 60.0
# Bits of <linux/capability.h>, without DAC_OVERRIDE: CHOWN, KILL, SETGID, SETUID, SYS_CHROOT
OF_A_WORKER = (0, 5, 6, 7, 18)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.mark.parametrize("tree", trees.TREES)
def test_what_our_own_user_made_goes(tree: str, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    trees.TREES[tree](left)
    removal.remove(left, seconds=MINUTE)
    assert os.listdir(tmp_path) == []


@root_only
@pytest.mark.parametrize("tree", trees.TREES)
def test_what_our_own_user_made_goes_where_we_are_not_root(tree: str, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    trees.made_by(OURSELVES, tree, left)
    os.chown(tmp_path, OURSELVES, OURSELVES)
    trees.in_child(
        lambda: removal.remove(Path("left"), seconds=MINUTE), where=tmp_path, uid=OURSELVES
    )
    assert os.listdir(tmp_path) == []


@root_only
@pytest.mark.parametrize("tree", trees.TREES)
def test_what_a_user_of_its_own_made_goes_without_power_over_files(
    tree: str, tmp_path: Path
) -> None:
    left = tmp_path / "left"
    left.mkdir()
    trees.made_by(STRANGER, tree, left)
    trees.in_child(
        lambda: removal.remove(left, seconds=MINUTE), where=tmp_path, capabilities=OF_A_WORKER
    )
    assert os.listdir(tmp_path) == []


def test_what_is_linked_stays_as_it_was(tmp_path: Path) -> None:
    left, kept = tmp_path / "left", tmp_path / "kept"
    for folder in (left, kept):
        folder.mkdir()
    (kept / "file").write_text("kept")
    (kept / "file").chmod(0o640)
    kept.chmod(0o500)
    (left / "link").symlink_to(kept)
    (left / "broken").symlink_to(kept / "nothing")
    os.link(kept / "file", left / "file")
    removal.remove(left, seconds=MINUTE)
    assert not left.exists()
    assert (kept / "file").read_text() == "kept"
    assert [path.stat().st_mode & 0o777 for path in (kept, kept / "file")] == [0o500, 0o640]


def test_a_link_or_a_file_where_a_folder_was_goes_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "link").symlink_to(kept)
    removal.remove(tmp_path / "link", seconds=MINUTE)
    removal.remove(kept / "file", seconds=MINUTE)
    removal.remove(tmp_path / "nothing", seconds=MINUTE)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_it_takes_no_descriptor_for_each_folder(tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    trees.nested(left)

    def remove() -> None:
        few = max(map(int, os.listdir("/proc/self/fd"))) + 10
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))
        removal.remove(left, seconds=MINUTE)

    trees.in_child(remove, where=tmp_path)
    assert not left.exists()


def test_out_of_time_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    trees.wide(left)
    with pytest.raises(removal.OutOfTime):
        removal.remove(left, seconds=0)
    removal.remove(left, seconds=MINUTE)
    assert not left.exists()


@root_only
def test_a_file_that_cannot_be_removed_is_reported_and_all_others_are_removed(
    tmp_path: Path,
) -> None:
    left = tmp_path / "left"
    (left / "deep" / "deeper").mkdir(parents=True)
    (left / "file").touch()
    for folder in (left, left / "deep", left / "deep" / "deeper"):
        os.chown(folder, OURSELVES, OURSELVES)
    (left / "another's").mkdir()
    (left / "another's" / "file").touch()
    tmp_path.chmod(0o755)

    def remove() -> None:
        with pytest.raises(PermissionError):
            removal.remove(Path("left"), seconds=MINUTE)

    trees.in_child(remove, where=tmp_path, uid=OURSELVES)
    assert [path.name for path in left.iterdir()] == ["another's"]
    removal.remove(left, seconds=MINUTE)
    assert not left.exists()
