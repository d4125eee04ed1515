"""Work folders are removed, except those of live processes in any container."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from apps.engine.failures import EngineError
from apps.engine.sandbox import claims, removal, workdirs
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.session import Sandbox
from tests.engine.sandbox import modes, trees
from tests.engine.sandbox.attack_targets import SMALL_LIMITS, SOURCE_SETTINGS
from tests.engine.sandbox.test_limits import work_folders

OWNER_SCRIPT = """
import sys
from pathlib import Path
from apps.engine.sandbox import workdirs
folder = workdirs.create(Path(sys.argv[1]), None)
print(folder.name, flush=True)
sys.stdin.read()
"""
CONTAINER_COMMAND = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def start_owner(base: Path, *command: str) -> subprocess.Popen[str]:
    """Start another process with a work folder. The first line of its output is the folder's name."""
    return subprocess.Popen(
        [*command, sys.executable, "-c", OWNER_SCRIPT, str(base)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def read_folder_name(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill_owner(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_the_folder_of_a_killed_process_is_removed_at_the_next_start(tmp_path: Path) -> None:
    killed = start_owner(tmp_path)
    name = read_folder_name(killed)
    trees.TREES["no access"](tmp_path / name)
    kill_owner(killed)
    folder = workdirs.create(tmp_path, None)
    assert sorted(os.listdir(tmp_path)) == [folder.name, f"{folder.name}.lock"]
    workdirs.remove(folder)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can create a namespace of processes, as a container has"
)
def test_the_folder_of_a_live_process_in_another_container_is_kept(tmp_path: Path) -> None:
    """Both processes have the same process id, because each is the first in its container."""
    first = start_owner(tmp_path, *CONTAINER_COMMAND)
    second = start_owner(tmp_path, *CONTAINER_COMMAND)
    names = {read_folder_name(first), read_folder_name(second)}
    own_folder = workdirs.create(tmp_path, None)
    workdirs.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {*names, own_folder.name}
    kill_owner(first)
    kill_owner(second)
    workdirs.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {own_folder.name}
    workdirs.remove(own_folder)


def test_a_process_can_have_several_work_folders(tmp_path: Path) -> None:
    folders = [workdirs.create(tmp_path, None) for _ in range(5)]
    assert all(folder.is_dir() for folder in folders)
    for folder in folders:
        workdirs.remove(folder)
    assert os.listdir(tmp_path) == []


def test_a_work_folder_is_created_again_if_a_sweep_removed_its_claim_before_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original_flock = fcntl.flock
    files_before_sweep: list[list[str]] = []

    def sweep_before_lock(fd: int, operation: int) -> None:
        if not files_before_sweep:
            files_before_sweep.append(os.listdir(tmp_path))
            trees.run_in_child(lambda: _sweep_with(original_flock, tmp_path), folder=tmp_path)
        original_flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", sweep_before_lock)
    folder = workdirs.create(tmp_path, None)
    assert [[f"{folder.name}.lock"]] != files_before_sweep
    assert sorted(os.listdir(tmp_path)) == [folder.name, f"{folder.name}.lock"]
    workdirs.remove(folder)


def _sweep_with(original_flock: Callable[[int, int], None], base: Path) -> None:
    fcntl.flock = original_flock  # type: ignore[assignment]
    workdirs.sweep(base)
    assert os.listdir(base) == []


def test_a_sandbox_starts_although_an_old_folder_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removals = []

    def fail_to_remove(tree: Path, *, seconds: float) -> None:
        removals.append(tree)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(removal, "remove", fail_to_remove)
    first = workdirs.create(tmp_path, None)
    workdirs.remove(first)
    second = workdirs.create(tmp_path, None)
    assert len(removals) == 2
    assert second.is_dir()
    monkeypatch.undo()
    workdirs.remove(second)
    workdirs.sweep(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_slow_removal_continues_with_the_next_sweeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workdirs.create(tmp_path, None)
    trees.create_many_folders(folder)
    monkeypatch.setattr(workdirs, "REMOVAL_SECONDS", 0.0)
    workdirs.remove(folder)
    (remaining,) = tmp_path.iterdir()
    assert remaining.name.startswith(workdirs.REMOVED_PREFIX)
    monkeypatch.setattr(workdirs, "SWEEP_SECONDS", 60.0)
    workdirs.sweep(tmp_path)
    assert os.listdir(tmp_path) == []


def test_unused_folders_of_an_earlier_release_are_removed(tmp_path: Path) -> None:
    dead_owner_folder, live_owner_folder = (
        tmp_path / "999999999-0123456789ab",
        tmp_path / f"{os.getpid()}-0123456789ab",
    )
    for folder in (dead_owner_folder, live_owner_folder):
        (folder / "inner").mkdir(parents=True)
    workdirs.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [live_owner_folder.name]


@pytest.mark.parametrize("mode", modes.available_modes())
def test_sandboxed_code_does_not_inherit_the_lock(
    mode: str, make_site: Callable[[str], SandboxSite]
) -> None:
    with Sandbox("", site=make_site(mode), limits=SMALL_LIMITS) as sandbox:
        sandbox.wait_until_ready()
        open_paths = [os.readlink(fd) for fd in Path(f"/proc/{sandbox.pid}/fd").iterdir()]
    assert open_paths
    assert not [path for path in open_paths if claims.SUFFIX in path]


NESTING_CODE = """
from drover import Page, Source
import os

class Nests(Source):
    streams = ["attack"]

    def get(self, pagination=None):
        for n in range(1_800):
            os.mkdir("a")
            os.chdir("a")
        return Page([{"id": 1}])
"""


@pytest.mark.parametrize("mode", modes.mode_params())
def test_the_next_sandbox_removes_deeply_nested_folders(
    mode: str, make_site: Callable[[str], SandboxSite], tmp_path: Path
) -> None:
    site = (
        make_site(mode)
        if mode in modes.ROOT_MODES
        else replace(make_site(mode), home=str(tmp_path))
    )
    with Sandbox(NESTING_CODE, site=site, limits=SMALL_LIMITS) as hostile, suppress(EngineError):
        hostile.call(
            "page", source_settings=SOURCE_SETTINGS, pagination=None, since=None, limit=None
        )
    with Sandbox("", site=site, limits=SMALL_LIMITS) as next_sandbox:
        next_sandbox.wait_until_ready()
        assert len(work_folders(Path(site.home))) <= 1
    assert work_folders(Path(site.home)) == []
