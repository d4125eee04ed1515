"""Processes that stop (by SIGSTOP) in the middle of a transaction, directly after the statement that took a lock.

`python -m tests.runs.claiming.freezer` loads Django once and forks a process for each line of standard input.
`python -m tests.runs.claiming.freezer PATTERN worker` runs a worker that freezes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

ROOT = Path(__file__).resolve().parents[3]


def freeze_after(pattern: str) -> None:
    """Stop this process after the first statement that matches the pattern."""
    expression = re.compile(pattern, re.DOTALL)
    original_execute = psycopg.Cursor.execute
    has_frozen = False

    def execute(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal has_frozen
        result = original_execute(cursor, query, *arguments, **options)
        if not has_frozen and expression.search(str(query)):
            has_frozen = True
            os.kill(os.getpid(), signal.SIGSTOP)
        return result

    psycopg.Cursor.execute = execute  # type: ignore[assignment, method-assign]


@dataclass
class FrozenProcess:
    """A process that stopped after its statement. After it was resumed, it writes its result to `result_file`."""

    pid: int
    result_file: Path

    def resume(self, seconds: float = 30) -> dict[str, Any]:
        """Resume the process. Return what its action returned or raised."""
        os.kill(self.pid, signal.SIGCONT)
        deadline = time.monotonic() + seconds
        while not self.result_file.exists():
            assert time.monotonic() < deadline, "the resumed process does not end"
            time.sleep(0.02)
        return dict(json.loads(self.result_file.read_text()))


class Freezer:
    """The process that forks the processes to be frozen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.runs.claiming.freezer"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._pids: list[int] = []

    def freeze(
        self, action: str, pattern: str, *, idle_seconds: float = 120.0, **arguments: Any
    ) -> FrozenProcess:
        """Start a process that calls the action and stops after the first statement that matches the pattern.

        PostgreSQL ends its transaction after `idle_seconds`.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        result_file = self._folder / f"frozen-{len(self._pids)}.json"
        request = {
            "action": action,
            "pattern": pattern,
            "idle_seconds": idle_seconds,
            "result": str(result_file),
        }
        self._process.stdin.write(json.dumps({**request, "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self._pids.append(pid)
        wait_until_frozen(pid, result_file)
        return FrozenProcess(pid, result_file)

    def close(self) -> None:
        """Kill all processes, including frozen ones."""
        for pid in self._pids:
            kill_process(pid)
        self._process.kill()
        self._process.wait()


def wait_until_frozen(pid: int, result_file: Path | None = None, seconds: float = 40) -> None:
    """Wait until the process is stopped. Fail if it has ended, because then it holds no lock."""
    deadline = time.monotonic() + seconds
    while process_state(pid) != "T":
        output = result_file.read_text() if result_file and result_file.exists() else ""
        assert not output, f"the process ended without the lock: {output}"
        assert time.monotonic() < deadline, "the process did not freeze"
        time.sleep(0.02)


def process_state(pid: int) -> str:
    """Return the state letter of proc(5): `T` for a stopped process, and empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""


def kill_process(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def freezing_worker(pattern: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a real `manage.py worker` that freezes once. It is resumed and stopped after the block."""
    from tests.runs.processes import SHORT_LEASES

    process = subprocess.Popen(
        [sys.executable, "-m", "tests.runs.claiming.freezer", pattern, "worker"],
        cwd=ROOT,
        env={**os.environ, **SHORT_LEASES, **environment},
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


# --- In the frozen process ---------------------------------------------------------------------


def send_request(
    *, method: str, path: str, token: str, body: Any = None, headers: Any = None
) -> Any:
    """Send a request to the application in this process, and return the status."""
    from tests.world import new_client

    client = new_client()
    if token:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    answer = getattr(client, method)(f"/api/v1/{path}", body or {}, headers=headers or {})
    return answer.status_code


def claim_run() -> Any:
    from apps.runs.claiming import leases

    claim = leases.claim_next("frozen")
    return str(claim.run_id) if claim else None


def record_progress(*, org: str, run: str) -> Any:
    """Write the progress of a run, as the recorder of a worker does. A trigger updates the usage of the month."""
    from apps.orgs.walls.scope import org_scope
    from apps.runs.models import Run

    with org_scope(UUID(org)):
        return Run.objects.for_org(UUID(org)).filter(pk=run).update(records_written=5)


def fire_schedules() -> Any:
    from apps.runs import scheduling

    return scheduling.tick()


def recover_runs() -> Any:
    from apps.runs.claiming import reconciler

    return reconciler.recover_expired_runs()


def enforce_overdue_cancels() -> Any:
    from apps.runs.claiming import reconciler

    return reconciler.enforce_overdue_cancels()


ACTIONS: Mapping[str, Callable[..., Any]] = {
    action.__name__: action
    for action in (
        send_request,
        claim_run,
        record_progress,
        fire_schedules,
        recover_runs,
        enforce_overdue_cancels,
    )
}


def _run_action(request: Mapping[str, Any]) -> None:
    from django.db import connections

    options = connections.settings["default"]["OPTIONS"]
    milliseconds = int(request["idle_seconds"] * 1000)
    options["options"] = f"-c idle_in_transaction_session_timeout={milliseconds}"
    freeze_after(request["pattern"])
    try:
        result = {"returned": ACTIONS[request["action"]](**request["arguments"])}
    except Exception as error:  # any exception is a result
        result = {"raised": repr(error)}
    draft = Path(request["result"] + ".new")
    draft.write_text(json.dumps(result))
    draft.replace(request["result"])


def _fork_processes() -> None:
    import django
    from django.conf import settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ["DROVER_PROCESS"] = "web"
    django.setup()
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]  # the host of the test client
    import config.urls  # noqa: F401 - imported once, before the forks

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _run_action(json.loads(line))
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _run_worker(pattern: str, arguments: list[str]) -> None:
    freeze_after(pattern)
    sys.argv = ["manage.py", *arguments]
    sys.path.insert(0, str(ROOT))
    import manage

    manage.main()


if __name__ == "__main__":
    if sys.argv[1:]:
        _run_worker(sys.argv[1], sys.argv[2:])
    else:
        _fork_processes()
