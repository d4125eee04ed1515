"""Fill the disk during a run and free it again. The run then publishes every row once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from tests.runs.processes import read_run
from tests.storms.stage import Stage

pytestmark = pytest.mark.long
DISK_BYTES = 64 << 20


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Mount a separate disk that is small enough to be filled."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "home"
    folder.mkdir()
    command = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size={DISK_BYTES},mode=0700",
        "drover-storm",
        str(folder),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {result.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill_disk(home: Path) -> None:
    """Fill the disk completely."""
    with (home / "filler").open("wb", buffering=0) as file:
        try:
            for size in (1 << 20, 4096, 1):
                while os.write(file.fileno(), bytes(size)) == size:
                    continue
        except OSError as error:
            assert "space" in str(error)  # noqa: PT017 - the loop ends with this error
    assert os.statvfs(home).f_bavail == 0


def has_failed_attempt(stage: Stage, runs: list[UUID]) -> bool:
    return any(
        attempt["status"] == "failed"
        for run in runs
        for attempt in read_run(stage.world, run)["attempts"]
    )


def test_runs_succeed_after_the_disk_was_full(stage: Stage, rounds: range, home: Path) -> None:
    for _ in rounds:
        stage.api.call_at_request(stage.random_request_number(runs=4), partial(fill_disk, home))
        runs = [
            stage.start_run(stage.create_pipeline(kind, ("parquet", "replace")))
            for kind in ("rest", "rest", "rest", "custom")
        ]
        stage.wait_until(
            partial(has_failed_attempt, stage, runs),
            "an attempt that fails because of the full disk",
        )
        (home / "filler").unlink()
        assert {run["status"] for run in stage.wait_and_check_runs()} == {"succeeded"}
