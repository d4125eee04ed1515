"""Work folders: those of living owners are kept, in whatever container; all others are removed."""

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
from tests.engine.sandbox.test_limits import work_folders
from tests.engine.sandbox.worlds import BOUND, SMALL

OWNER = """
import sys
from pathlib import Path
from apps.engine.sandbox import workdirs
made = workdirs.create(Path(sys.argv[1]), None)
print(made.name, flush=True)
sys.stdin.read()
"""
OF_ANOTHER_CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def owner(base: Path, *before: str) -> subprocess.Popen[str]:
    """Another process with a work folder; its first line of output names it."""
    return subprocess.Popen(
        [*before, sys.executable, "-c", OWNER, str(base)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def named(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_what_a_killed_process_left_goes_with_the_next_start(tmp_path: Path) -> None:
    killed = owner(tmp_path)
    name = named(killed)
    trees.TREES["closed"](tmp_path / name)
    ended(killed)
    made = workdirs.create(tmp_path, None)
    assert sorted(os.listdir(tmp_path)) == [made.name, f"{made.name}.lock"]
    workdirs.remove(made)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root makes namespaces of processes, as containers have"
)
def test_the_folder_of_a_live_process_in_another_container_stays(tmp_path: Path) -> None:
    """Both start in an empty container, so even their process ids are the same."""
    one, other = owner(tmp_path, *OF_ANOTHER_CONTAINER), owner(tmp_path, *OF_ANOTHER_CONTAINER)
    names = {named(one), named(other)}
    ours = workdirs.create(tmp_path, None)
    workdirs.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {*names, ours.name}
    ended(one)
    ended(other)
    workdirs.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {ours.name}
    workdirs.remove(ours)


def test_a_process_has_any_number_of_them(tmp_path: Path) -> None:
    made = [workdirs.create(tmp_path, None) for _ in range(5)]
    assert all(folder.is_dir() for folder in made)
    for folder in made:
        workdirs.remove(folder)
    assert os.listdir(tmp_path) == []


def test_an_owner_whose_claim_is_swept_before_it_is_locked_makes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    swept: list[list[str]] = []

    def late(fd: int, how: int) -> None:
        if not swept:
            swept.append(os.listdir(tmp_path))
            trees.in_child(lambda: _sweep_with(lock, tmp_path), where=tmp_path)
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    made = workdirs.create(tmp_path, None)
    assert [[f"{made.name}.lock"]] != swept
    assert sorted(os.listdir(tmp_path)) == [made.name, f"{made.name}.lock"]
    workdirs.remove(made)


def _sweep_with(lock: Callable[[int, int], None], base: Path) -> None:
    fcntl.flock = lock  # type: ignore[assignment]
    workdirs.sweep(base)
    assert os.listdir(base) == []


def test_a_folder_that_cannot_be_removed_prevents_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def refuses(tree: Path, *, seconds: float) -> None:
        tries.append(tree)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(removal, "remove", refuses)
    first = workdirs.create(tmp_path, None)
    workdirs.remove(first)
    second = workdirs.create(tmp_path, None)
    assert len(tries) == 2
    assert second.is_dir()
    monkeypatch.undo()
    workdirs.remove(second)
    workdirs.sweep(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_slow_removal_continues_with_the_next_sweeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = workdirs.create(tmp_path, None)
    trees.wide(made)
    monkeypatch.setattr(workdirs, "REMOVAL_SECONDS", 0.0)
    workdirs.remove(made)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(workdirs.REMOVED_PREFIX)
    monkeypatch.setattr(workdirs, "SWEEP_SECONDS", 60.0)
    workdirs.sweep(tmp_path)
    assert os.listdir(tmp_path) == []


def test_what_an_earlier_release_left_goes_and_what_it_uses_stays(tmp_path: Path) -> None:
    dead, alive = tmp_path / "999999999-0123456789ab", tmp_path / f"{os.getpid()}-0123456789ab"
    for folder in (dead, alive):
        (folder / "inner").mkdir(parents=True)
    workdirs.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [alive.name]


@pytest.mark.parametrize("mode", modes.available())
def test_sandboxed_code_does_not_inherit_the_lock(
    mode: str, ground: Callable[[str], SandboxSite]
) -> None:
    with Sandbox("", site=ground(mode), limits=SMALL) as sandbox:
        sandbox.wait_until_ready()
        opened = [os.readlink(fd) for fd in Path(f"/proc/{sandbox.pid}/fd").iterdir()]
    assert opened
    assert not [path for path in opened if claims.SUFFIX in path]


NESTS = """
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


@pytest.mark.parametrize("mode", modes.each())
def test_code_that_nests_folders_leaves_nothing_to_others(
    mode: str, ground: Callable[[str], SandboxSite], tmp_path: Path
) -> None:
    stands = ground(mode) if mode in modes.ROOTS else replace(ground(mode), home=str(tmp_path))
    with Sandbox(NESTS, site=stands, limits=SMALL) as hostile, suppress(EngineError):
        hostile.call("page", bound=BOUND, pagination=None, since=None, limit=None)
    with Sandbox("", site=stands, limits=SMALL) as another:
        another.wait_until_ready()
        assert len(work_folders(Path(stands.home))) <= 1
    assert work_folders(Path(stands.home)) == []
