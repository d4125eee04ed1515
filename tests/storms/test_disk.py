"""A disk that becomes full during a run and gets free space again: the results are exact."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from tests.runs.processes import shown
from tests.storms.stage import Stage

pytestmark = pytest.mark.long
SIZE = 64 << 20


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A separate disk, small enough to be filled."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "home"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "drover-storm", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(home: Path) -> None:
    """Fill the disk completely."""
    with (home / "filler").open("wb", buffering=0) as file:
        try:
            for size in (1 << 20, 4096, 1):
                while os.write(file.fileno(), bytes(size)) == size:
                    continue
        except OSError as error:
            assert "space" in str(error)  # noqa: PT017 - it is meant to be full
    assert os.statvfs(home).f_bavail == 0


def has_failed(stage: Stage, runs: list[UUID]) -> bool:
    """One of them failed because of the full disk."""
    return any(
        attempt["status"] == "failed"
        for run in runs
        for attempt in shown(stage.world, run)["attempts"]
    )


def test_filled_in_mid_run(stage: Stage, rounds: range, home: Path) -> None:
    for _ in rounds:
        stage.api.at(stage.moment(runs=4), partial(fill, home))
        runs = [
            stage.start(stage.pipeline(kind, ("parquet", "replace")))
            for kind in ("rest", "rest", "rest", "custom")
        ]
        stage.wait(partial(has_failed, stage, runs), "a run that met the full disk")
        (home / "filler").unlink()
        assert {run["status"] for run in stage.settle()} == {"succeeded"}
