"""Run the alternatives to the engine, each in a new process: plain `bizon`, and raw writers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from apps.engine.process import confinement
from bench.figures import Execution
from bench.scratch import ROOT

_NUMBERS_CODE = """
from bizon.source.config import SourceConfig
from bizon.source.models import SourceIteration, SourceRecord
from bizon.source.source import AbstractSource
from apps.engine.sources.dummy import generated

ROWS, PAGE_SIZE = {rows}, {page_size}


class Numbers(AbstractSource):
    @staticmethod
    def streams():
        return ["numbers"]

    @staticmethod
    def get_config_class():
        return SourceConfig

    def get_authenticator(self):
        return None

    def check_connection(self):
        return True, None

    def get_total_records_count(self):
        return None

    def get(self, pagination=None):
        after = (pagination or {{}}).get("after", 0)
        rows = generated.generate_rows(after + 1, min(PAGE_SIZE, ROWS - after))
        reached = after + len(rows)
        return SourceIteration(
            records=[SourceRecord(id=row["id"], data=row) for row in rows],
            next_pagination={{"after": reached}} if reached < ROWS else {{}},
        )
"""

# The waits are shorter than bizon's default, but not zero: without a wait, its reader and writer threads sometimes
# conflict at the start, because both parse the source file, and then the run fails or never ends.
_ENGINE_CONFIG = {
    "backend": {"type": "sqlite", "config": {"database": "state", "schema": "none"}},
    "runner": {
        "type": "thread",
        "config": {"consumer_start_delay": 1, "is_alive_check_interval": 1},
    },
}


def run_plain_bizon_to_log(folder: Path) -> Execution:
    """Measure `bizon run` of five records to its log. The time includes the imports, for which a user waits too."""
    token = {"type": "api_key", "params": {"token": "none"}}
    config = {
        "name": "tales",
        "source": {"name": "dummy", "stream": "creatures", "authentication": token},
        "destination": {"name": "logger", "config": {}},
    }
    return _run_bizon(folder, config)


def run_plain_bizon_to_file(folder: Path, *, rows: int, page_size: int) -> Execution:
    """Measure `bizon run` of the rows of the dummy source to its file destination, including the imports."""
    source = folder / "numbers.py"
    source.write_text(_NUMBERS_CODE.format(rows=rows, page_size=page_size))
    config = {
        "name": "numbers",
        "source": {"name": "numbers", "stream": "numbers"},
        "destination": {"name": "file", "config": {"destination_id": "out"}},
    }
    execution = _run_bizon(folder, config, "--custom-source", str(source))
    with (folder / "out.json").open("rb") as lines:
        if sum(1 for _ in lines) != rows:
            raise RuntimeError("plain bizon did not write every row")
    return execution


def run_raw_writer(kind: str, *, rows: int, page_size: int, target: str) -> float:
    """Run `bench.raw_writers` and return its seconds, without the imports."""
    process = subprocess.run(
        [sys.executable, "-m", "bench.raw_writers", kind, str(rows), str(page_size), target],
        cwd=ROOT,
        env=_environment(),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(process.stdout)


def _run_bizon(folder: Path, config: dict[str, Any], *options: str) -> Execution:
    (folder / "bench.yml").write_text(json.dumps({**config, "engine": _ENGINE_CONFIG}))
    bizon = str(Path(sys.executable).with_name("bizon"))
    command = [bizon, "run", "bench.yml", *options, "--log-level", "WARNING"]
    started = time.perf_counter()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(), stdout=log, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        last_lines = (folder / "log").read_text(errors="replace").splitlines()[-5:]
        raise RuntimeError("\n".join(["plain bizon failed:", *last_lines]))
    return Execution(seconds, usage.ru_maxrss * 1024)


def _environment() -> dict[str, str]:
    return {
        **confinement.child_environment(),
        "PYTHONPATH": str(ROOT),
        "HOME": tempfile.gettempdir(),
    }
