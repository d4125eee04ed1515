"""`make up` in a clone: start, run the demo, kill a worker, stop, and start again. All processes are real."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.database.postgres import find_free_port
from local.supervision.processes import is_alive
from tests.first_start import FirstStart, MakeUp, environment, log_in, start_demo

STOP_SECONDS = 15.0
ROWS = {
    "Flights to Parquet": 336_776,
    "Weather to the warehouse": 26_115,
    "Airports to DuckDB": 1_458,
}


@pytest.fixture(scope="module")
def started(first_start: FirstStart) -> FirstStart:
    assert first_start.make_up.make.poll() is None, "another test has stopped `make up`"
    return first_start


def test_a_clone_starts_with_its_demo_survives_a_killed_worker_stops_and_starts_again(
    started: FirstStart,
) -> None:
    first, home = started.make_up, started.home
    report = first.read_report()
    assert {row["name"]: row["rows"] for row in report["pipelines"]} == ROWS
    assert [run["status"] for run in started.runs] == ["succeeded"] * 3
    with log_in(report) as client:
        assert 'id="root"' in httpx.get(report["url"]).text
        invited = client.post("org/invitations", json={"email": "n@example.com", "role": "viewer"})
        assert invited.status_code == 201
        assert "All checks passed." in _run_manage(started.clone, home, "doctor")
        run_id_of_killed_worker = _run_with_a_killed_worker(
            client, report["pipelines"][0]["id"], first
        )
        run_ids_before = _run_ids(client)
    processes = _descendants(first.make.pid)
    assert len(processes) > 5
    assert first.stop(signal.SIGTERM) < STOP_SECONDS
    assert [pid for pid in processes if is_alive(pid)] == []
    assert not (home / "run" / "lock").exists()
    assert stat.S_IMODE(started.folder.stat().st_mode) == 0o700
    for folder in ("mail", "logs", "storage", "keys", "run"):
        assert any((home / folder).iterdir()), f"nothing was ever written to {folder}"
    assert _paths_open_to_other_users(home) == []
    assert f"Mail      {home / 'mail'} " in first.output.read_text()

    second = MakeUp(started.clone, home, find_free_port())
    try:
        second_report = second.read_report()
        with log_in(second_report) as client:
            run_ids = _run_ids(client)
        processes = _descendants(second.make.pid)
    finally:
        stop_seconds = second.stop(signal.SIGINT)
    assert stop_seconds < STOP_SECONDS
    assert [pid for pid in processes if is_alive(pid)] == []
    assert run_id_of_killed_worker in run_ids_before
    assert run_ids == run_ids_before
    assert [row["id"] for row in second_report["pipelines"]] == [
        row["id"] for row in report["pipelines"]
    ]
    assert (second_report["email"], second_report["password"]) == (
        report["email"],
        report["password"],
    )


@pytest.mark.long
def test_a_clone_without_anything_built_installs_builds_and_starts() -> None:
    """The clone has no installed packages, and gets no development packages."""
    with start_demo(from_nothing=True) as started:
        report = started.make_up.read_report()
        assert [run["status"] for run in started.runs] == ["succeeded"] * 3
        assert 'id="root"' in httpx.get(report["url"]).text
        packages = next((started.clone / ".venv" / "lib").glob("python*/site-packages"))
        assert not (packages / "pytest").exists()


def _run_ids(client: httpx.Client) -> list[str]:
    return sorted(run["id"] for run in client.get("runs").raise_for_status().json()["results"])


# Copies of Python and packages, which the sandbox's user reads. They contain no data of the installation.
SANDBOX_COPIES = re.compile(r"sandbox/drover-sandbox-\d+/root-[0-9a-f]+(/.*)?")


def _paths_open_to_other_users(home: Path) -> list[str]:
    """Return the paths that other users could read or change. The database cluster is a link, so it is skipped."""
    found = []
    for path in (home, *home.rglob("*")):
        mode = path.lstat().st_mode
        relative_path = str(path.relative_to(home))
        if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and not SANDBOX_COPIES.fullmatch(
            relative_path
        ):
            allowed_mode = 0o711 if path == home else 0o700  # PostgreSQL's user may enter the home
            if stat.S_IMODE(mode) & ~allowed_mode & 0o077:
                found.append(f"{relative_path} {stat.S_IMODE(mode):o}")
    return found


def _run_manage(clone: Path, home: Path, *words: str) -> str:
    """Run a command of manage.py with DROVER_HOME as its only setting, and return its output."""
    done = subprocess.run(
        [clone / ".venv/bin/python", "manage.py", *words],
        cwd=clone,
        env=environment() | {"DROVER_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _run_with_a_killed_worker(client: httpx.Client, pipeline_id: str, up: MakeUp) -> str:
    """Start a run, kill its worker, and check that the run still succeeds. Returns the run's id."""
    run_id: str = client.post(f"pipelines/{pipeline_id}/run").raise_for_status().json()["id"]
    _wait_until(lambda: _get_run(client, run_id)["status"] != "pending")
    [worker] = [
        pid for pid, line in _descendants(up.make.pid).items() if "manage.py worker" in line
    ]
    os.kill(worker, signal.SIGKILL)
    try:
        _wait_until(lambda: _get_run(client, run_id)["status"] not in ("pending", "running"))
    except AssertionError:  # This happened once for an unknown reason, so show the state.
        pytest.fail(
            f"The run does not end: {_get_run(client, run_id)}\n{up.output.read_text()[-6000:]}"
        )
    assert _get_run(client, run_id)["status"] == "succeeded"
    assert "worker was restarted" in up.output.read_text()
    return run_id


def _get_run(client: httpx.Client, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"runs/{run_id}").raise_for_status().json()
    return found


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _descendants(root: int) -> dict[int, str]:
    """Return the ids and command lines of all descendants of `root`."""
    columns = ["ps", "-e", "-o", "pid=,ppid=,args="]
    if not sys.platform.startswith("linux"):
        columns = ["ps", "-A", "-o", "pid=,ppid=,command="]
    listed = subprocess.run(columns, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    found: dict[int, str] = {}
    waiting = {root}
    while waiting:
        level = {int(pid): args for pid, parent, args in rows if int(parent) in waiting}
        found |= level
        waiting = set(level)
    return found
