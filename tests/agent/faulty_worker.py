"""A real `manage.py worker` with a scripted model. It kills or freezes itself at one statement, if told so.

`python -m tests.agent.faulty_worker PLAN` runs it, where PLAN is a file with a `Plan` as JSON.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Fault:
    """Send a signal to the worker at the first statement that contains `statement`, after one with `after`.

    The signal is sent before the statement is executed, or after it if `is_executed` is true.
    """

    signal: int
    statement: str
    after: str = ""
    is_executed: bool = False


@contextmanager
def faulty_worker(
    folder: Path, steps: list[Any], fault: Fault | None = None, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the worker, and kill it after the block."""
    plan = folder / "plan.json"
    plan.write_text(
        json.dumps([[asdict(step) for step in steps], asdict(fault) if fault else None])
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.agent.faulty_worker", str(plan)],
        cwd=ROOT,
        env={**os.environ, "DROVER_AGENT_LEASE_SECONDS": "3", **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# --- In the worker -----------------------------------------------------------------------------


def _plan_fault(fault: Fault) -> None:
    seen = {"after": not fault.after, "fired": False}

    def look(query: Any, *, is_executed: bool) -> None:
        is_due = not seen["fired"] and seen["after"] and is_executed == fault.is_executed
        if is_due and re.search(fault.statement, str(query), re.DOTALL):
            seen["fired"] = True
            os.kill(os.getpid(), fault.signal)
        if fault.after and is_executed and re.search(fault.after, str(query)):
            seen["after"] = True

    for cursor, is_async in ((psycopg.Cursor, False), (psycopg.AsyncCursor, True)):
        for name in ("execute", "executemany"):
            wrap = _wrap_async if is_async else _wrap
            setattr(cursor, name, wrap(getattr(cursor, name), look))


def _wrap(original: Any, look: Any) -> Any:
    def call(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        look(query, is_executed=False)
        result = original(cursor, query, *arguments, **options)
        look(query, is_executed=True)
        return result

    return call


def _wrap_async(original: Any, look: Any) -> Any:
    async def call(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        look(query, is_executed=False)
        result = await original(cursor, query, *arguments, **options)
        look(query, is_executed=True)
        return result

    return call


def _use_script(steps: list[dict[str, Any]]) -> None:
    import pytest

    from tests.agent.scripted_model import Step, use_script

    use_script(pytest.MonkeyPatch(), *(Step(**step) for step in steps))


def _main(plan: str) -> None:
    steps, fault = json.loads(Path(plan).read_text())
    sys.path.insert(0, str(ROOT))
    os.environ["DROVER_PROCESS"] = "worker"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    _use_script(steps)
    if fault:
        _plan_fault(Fault(**fault))
    sys.argv = ["manage.py", "worker"]
    import manage

    manage.main()


if __name__ == "__main__":
    _main(sys.argv[1])
