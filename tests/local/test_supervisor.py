"""The supervisor restarts its programs and ends them all. The processes are real."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.database.postgres import find_free_port
from local.errors import LocalError
from local.lock_file import HomeLock
from local.ports import is_free, refuse_port_in_use, reserve_port
from local.supervision.processes import is_alive, wait_until_gone

ROOT = Path(__file__).resolve().parents[2]
on_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux can give orphans a new parent"
)

SUPERVISOR_PROGRAM = """
import sys, time
from pathlib import Path
from local.supervision.children import Child
from local.supervision.supervisor import Stopped, Supervisor

folder = Path(sys.argv[1])

def child(name, program):
    return Child(name=name, command=[sys.executable, "-c", program, str(folder)],
                 env={}, log=folder / f"{name}.log")

try:
    with Supervisor() as supervisor:
        BODY
        print("ready", flush=True)
        supervisor.keep_running()
except Stopped:
    print("stopped", flush=True)
"""
SLEEPING_PROGRAM = "import os, sys, time; open(sys.argv[1] + '/pids', 'a').write(f'{os.getpid()}\\\\n'); time.sleep(600)"


@contextmanager
def supervise(folder: Path, *body: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a process with a supervisor. The code in `body` adds its children."""
    indented = textwrap.indent("\n".join(body), " " * 8).strip()
    program = SUPERVISOR_PROGRAM.replace("BODY", indented)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def wait_for_pids(folder: Path, count: int) -> list[int]:
    """Wait until `count` programs have written their process ids, and return the ids."""
    path = folder / "pids"
    for _ in range(3000):
        found = [int(line) for line in path.read_text().split()] if path.exists() else []
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{count} programs did not start")


def test_a_program_that_dies_is_restarted(tmp_path: Path) -> None:
    with supervise(tmp_path, f'supervisor.add(child("web", "{SLEEPING_PROGRAM}"))') as process:
        [first] = wait_for_pids(tmp_path, 1)
        os.kill(first, signal.SIGKILL)
        second = wait_for_pids(tmp_path, 2)[1]
        assert is_alive(second)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not is_alive(second)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_programs_even_one_that_ignores_sigterm(
    tmp_path: Path, signum: signal.Signals
) -> None:
    stubborn_program = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPING_PROGRAM
    )
    body = [
        "import local.supervision.supervisor; local.supervision.supervisor.CHILD_SECONDS = 0.5",
        f'supervisor.add(child("polite", "{SLEEPING_PROGRAM}"))',
        f'supervisor.add(child("stubborn", "{stubborn_program}"))',
    ]
    with supervise(tmp_path, *body) as process:
        started = wait_for_pids(tmp_path, 2)
        process.send_signal(signum)
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert process.stdout.readline() == "stopped\n"
    assert [pid for pid in started if is_alive(pid)] == []


@on_linux
def test_a_grandchild_in_its_own_session_is_ended(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys, time; "
        f'subprocess.Popen([sys.executable, \\"-c\\", \\"{SLEEPING_PROGRAM}\\", sys.argv[1]], '
        "start_new_session=True); time.sleep(600)"
    ).replace("\\\\n", "\\\\\\\\n")
    with supervise(tmp_path, f'supervisor.add(child("worker", "{parent}"))') as process:
        [grandchild] = wait_for_pids(tmp_path, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not is_alive(grandchild)


@on_linux
def test_programs_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with supervise(tmp_path, f'supervisor.add(child("web", "{SLEEPING_PROGRAM}"))') as process:
        started = wait_for_pids(tmp_path, 1)
        process.kill()
        process.wait()
        assert wait_until_gone(started, seconds=60) == []


def test_the_error_of_a_failed_step_has_its_last_line(tmp_path: Path) -> None:
    failing_program = "import sys; print('first', file=sys.stderr); print('the reason', file=sys.stderr); sys.exit(1)"
    body = [
        "try:",
        f'    supervisor.run([sys.executable, "-c", "{failing_program}"], {{}}, step="Trying", log=folder / "log")',
        "except Exception as failure:",
        '    (folder / "error").write_text(str(failure))',
    ]
    with supervise(tmp_path, *body) as process:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert (
        tmp_path / "error"
    ).read_text() == f"Trying failed (the reason): see {tmp_path / 'log'}."


def test_the_error_for_a_locked_home_names_the_process_with_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    path.parent.mkdir()
    with HomeLock(path), pytest.raises(LocalError, match=rf"\(process {os.getpid()}\)"):
        HomeLock(path).__enter__()
    assert not path.exists()


def test_the_lock_of_a_killed_process_can_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = (
        "import os, sys; from pathlib import Path; from local.lock_file import HomeLock; "
        "HomeLock(Path(sys.argv[1])).__enter__(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, path], cwd=ROOT, check=False)
    assert path.exists()
    with HomeLock(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_port_stays_the_same_until_another_process_uses_it(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    port = reserve_port(file, "postgres")
    demo_port = reserve_port(file, "demo_api")
    assert (reserve_port(file, "postgres"), reserve_port(file, "demo_api")) == (port, demo_port)
    other_process = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while is_free(port):
            assert other_process.poll() is None
            time.sleep(0.02)
        new_port = reserve_port(file, "postgres")
        assert new_port != port
        with pytest.raises(LocalError, match=f"Port {port} is in use"):
            refuse_port_in_use(port)
    finally:
        other_process.kill()
        other_process.wait()
    assert reserve_port(file, "postgres") == new_port


def test_a_free_port_is_accepted() -> None:
    refuse_port_in_use(find_free_port())
