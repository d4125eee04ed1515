"""Remove all files that code created, with as few rights as possible, and keep the targets of links."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from apps.engine.sandbox import removal
from tests.engine.sandbox import trees

SANDBOX_UID, OWN_UID = 61_184, 65_534
MINUTE = 60.0
# Bits of <linux/capability.h>, without DAC_OVERRIDE: CHOWN, KILL, SETGID, SETUID, SYS_CHROOT
WORKER_CAPABILITIES = (0, 5, 6, 7, 18)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.mark.parametrize("tree", trees.TREES)
def test_folders_of_our_own_user_are_removed(tree: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    trees.TREES[tree](folder)
    removal.remove(folder, seconds=MINUTE)
    assert os.listdir(tmp_path) == []


@root_only
@pytest.mark.parametrize("tree", trees.TREES)
def test_folders_of_our_own_user_are_removed_without_root(tree: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    trees.create_as_user(OWN_UID, tree, folder)
    os.chown(tmp_path, OWN_UID, OWN_UID)
    trees.run_in_child(
        lambda: removal.remove(Path("folder"), seconds=MINUTE), folder=tmp_path, uid=OWN_UID
    )
    assert os.listdir(tmp_path) == []


@root_only
@pytest.mark.parametrize("tree", trees.TREES)
def test_folders_of_a_sandbox_user_are_removed_with_a_workers_capabilities(
    tree: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    trees.create_as_user(SANDBOX_UID, tree, folder)
    trees.run_in_child(
        lambda: removal.remove(folder, seconds=MINUTE),
        folder=tmp_path,
        capabilities=WORKER_CAPABILITIES,
    )
    assert os.listdir(tmp_path) == []


def test_targets_of_links_stay_unchanged(tmp_path: Path) -> None:
    folder, target = tmp_path / "folder", tmp_path / "target"
    for path in (folder, target):
        path.mkdir()
    (target / "file").write_text("content")
    (target / "file").chmod(0o640)
    target.chmod(0o500)
    (folder / "link").symlink_to(target)
    (folder / "broken").symlink_to(target / "nothing")
    os.link(target / "file", folder / "file")
    removal.remove(folder, seconds=MINUTE)
    assert not folder.exists()
    assert (target / "file").read_text() == "content"
    assert [path.stat().st_mode & 0o777 for path in (target, target / "file")] == [0o500, 0o640]


def test_removing_a_link_keeps_its_target(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").touch()
    (tmp_path / "link").symlink_to(target)
    removal.remove(tmp_path / "link", seconds=MINUTE)
    removal.remove(target / "file", seconds=MINUTE)
    removal.remove(tmp_path / "nothing", seconds=MINUTE)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_removal_needs_only_a_few_descriptors(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    trees.create_nested(folder)

    def remove() -> None:
        limit = max(map(int, os.listdir("/proc/self/fd"))) + 10
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        removal.remove(folder, seconds=MINUTE)

    trees.run_in_child(remove, folder=tmp_path)
    assert not folder.exists()


def test_a_removal_that_ran_out_of_time_can_be_continued(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    trees.create_many_folders(folder)
    with pytest.raises(removal.OutOfTime):
        removal.remove(folder, seconds=0)
    removal.remove(folder, seconds=MINUTE)
    assert not folder.exists()


@root_only
def test_a_file_that_cannot_be_removed_is_reported_and_all_others_are_removed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "folder"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "file").touch()
    for path in (folder, folder / "deep", folder / "deep" / "deeper"):
        os.chown(path, OWN_UID, OWN_UID)
    (folder / "other").mkdir()
    (folder / "other" / "file").touch()
    tmp_path.chmod(0o755)

    def remove() -> None:
        with pytest.raises(PermissionError):
            removal.remove(Path("folder"), seconds=MINUTE)

    trees.run_in_child(remove, folder=tmp_path, uid=OWN_UID)
    assert [path.name for path in folder.iterdir()] == ["other"]
    removal.remove(folder, seconds=MINUTE)
    assert not folder.exists()
