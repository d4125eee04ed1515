"""`manage.py bench` takes every measurement with real servers; the figures themselves are not tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from local.bench import UNUSED_URL
from local.home import Home
from local.keys import ensure_keys
from tests.first_start import environment
from tests.runs.processes import ROOT

pytestmark = pytest.mark.long

FIGURES = {
    "start": "POST run -> child is running, p50",
    "list": "GET /pipelines, 1,000 pipelines",
    "keys": "API key, later uses, CPU",
    "streams": "lost and duplicate events of these streams: 0, 0",
    "memory": "idle memory of everything `make up` starts",
    "sandbox": "Sandbox, records",
    "alerts": "run fails -> webhook received, p95",
    "agent-streams": "200 conversations, 10 events/s each, p99",
    "agent-turns": "message -> `done` in the browser, p50",
    "agent-memory": "memory of Channels and MCP, in a web process",
    "agent-token": "model's first token -> browser, p50",
}


@pytest.mark.parametrize("measurement", FIGURES)
def test_a_measurement_prints_its_figures(measurement: str, tmp_path: Path) -> None:
    """The exit code is not checked: it is 1 if a figure misses its target, and the figures depend on the machine."""
    home = Home(tmp_path / "home")
    home.create_folders()
    ensure_keys(home.keys)
    bench = subprocess.run(
        [sys.executable, "manage.py", "bench", measurement, "--rounds", "1"],
        cwd=ROOT,
        env=environment() | {"DROVER_HOME": str(home.root), "DATABASE_URL": UNUSED_URL},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"  {FIGURES[measurement]}" in bench.stdout, bench.stderr
    assert "Traceback" not in bench.stderr, bench.stderr
