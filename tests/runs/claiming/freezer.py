"""Processes that freeze in the middle of a transaction: at an event, directly after the statement that took a lock.

Run as `python -m tests.runs.claiming.freezer`: it loads Django once and forks a process for each line of
standard input. As `python -m tests.runs.claiming.freezer PATTERN worker` it is a worker that freezes.
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
    """Stop this process once, when a statement that matches has returned."""
    wanted = re.compile(pattern, re.DOTALL)
    plain = psycopg.Cursor.execute
    waiting = [True]

    def execute(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        result = plain(cursor, query, *arguments, **options)
        if waiting and wanted.search(str(query)):
            waiting.clear()
            os.kill(os.getpid(), signal.SIGSTOP)
        return result

    psycopg.Cursor.execute = execute  # type: ignore[assignment, method-assign]


@dataclass
class Frozen:
    """A process that stopped after its statement; its result is in `result` once it has resumed."""

    pid: int
    result: Path

    def thaw(self, seconds: float = 30) -> dict[str, Any]:
        """Resume it; returns its result: `answered` or `raised`."""
        os.kill(self.pid, signal.SIGCONT)
        deadline = time.monotonic() + seconds
        while not self.result.exists():
            assert time.monotonic() < deadline, "it does not end"
            time.sleep(0.02)
        return dict(json.loads(self.result.read_text()))


class Freezer:
    """The process that forks those to be frozen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.runs.claiming.freezer"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._made: list[int] = []

    def freeze(self, act: str, pattern: str, *, idle: float = 120.0, **arguments: Any) -> Frozen:
        """A process that calls `act` and stops after the statement; its transaction is ended after `idle` seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        result = self._folder / f"frozen-{len(self._made)}.json"
        order = {"act": act, "pattern": pattern, "idle": idle, "result": str(result)}
        self._process.stdin.write(json.dumps({**order, "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self._made.append(pid)
        wait_until_frozen(pid, result)
        return Frozen(pid, result)

    def close(self) -> None:
        """Kill all processes, including frozen ones."""
        for pid in self._made:
            kill(pid)
        self._process.kill()
        self._process.wait()


def wait_until_frozen(pid: int, result: Path | None = None, seconds: float = 40) -> None:
    """Wait until the process is stopped; fails if it ended instead, because then no lock is held."""
    deadline = time.monotonic() + seconds
    while state_of(pid) != "T":
        said = result.read_text() if result and result.exists() else ""
        assert not said, f"it never took the lock: {said}"
        assert time.monotonic() < deadline, "it was not frozen"
        time.sleep(0.02)


def state_of(pid: int) -> str:
    """Return proc(5)'s state letter: T is stopped; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def freezing_worker(pattern: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real `manage.py worker` that freezes once; resumed and ended afterwards."""
    from tests.runs.processes import QUICK

    process = subprocess.Popen(
        [sys.executable, "-m", "tests.runs.claiming.freezer", pattern, "worker"],
        cwd=ROOT,
        env={**os.environ, **QUICK, **environment},
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


# --- In the process itself ---------------------------------------------------------------------


def request(*, method: str, path: str, token: str, body: Any = None, headers: Any = None) -> Any:
    """A request as the web process handles it."""
    from tests.world import new_client

    client = new_client()
    if token:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    answer = getattr(client, method)(f"/api/v1/{path}", body or {}, headers=headers or {})
    return answer.status_code


def claim() -> Any:
    from apps.runs.claiming import leases

    taken = leases.claim_next("frozen")
    return str(taken.run_id) if taken else None


def record(*, org: str, run: str) -> Any:
    """What a worker's recorder writes, and the counters of the month that a trigger updates."""
    from apps.orgs.walls.scope import org_scope
    from apps.runs.models import Run

    with org_scope(UUID(org)):
        return Run.objects.for_org(UUID(org)).filter(pk=run).update(records_written=5)


def tick() -> Any:
    from apps.runs import scheduling

    return scheduling.tick()


def recover() -> Any:
    from apps.runs.claiming import reconciler

    return reconciler.recover_expired()


def enforce_cancels() -> Any:
    from apps.runs.claiming import reconciler

    return reconciler.enforce_cancels()


ACTS: Mapping[str, Callable[..., Any]] = {
    act.__name__: act for act in (request, claim, record, tick, recover, enforce_cancels)
}


def _be_frozen(order: Mapping[str, Any]) -> None:
    from django.db import connections

    options = connections.settings["default"]["OPTIONS"]
    milliseconds = int(order["idle"] * 1000)
    options["options"] = f"-c idle_in_transaction_session_timeout={milliseconds}"
    freeze_after(order["pattern"])
    try:
        came = {"answered": ACTS[order["act"]](**order["arguments"])}
    except Exception as error:  # any exception is the result
        came = {"raised": repr(error)}
    draft = Path(order["result"] + ".new")
    draft.write_text(json.dumps(came))
    draft.replace(order["result"])


def _serve() -> None:
    import django
    from django.conf import settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ["DROVER_PROCESS"] = "web"
    django.setup()
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]  # the test client's
    import config.urls  # noqa: F401 - once, before the forks

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _be_frozen(json.loads(line))
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _work(pattern: str, arguments: list[str]) -> None:
    freeze_after(pattern)
    sys.argv = ["manage.py", *arguments]
    sys.path.insert(0, str(ROOT))
    import manage

    manage.main()


if __name__ == "__main__":
    if sys.argv[1:]:
        _work(sys.argv[1], sys.argv[2:])
    else:
        _serve()
