"""Run bench.alerts.program in the temporary installation. It is not imported, because it imports Drover's apps."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import orjson

from bench.scratch import ROOT, Installation

PROGRAM = (sys.executable, "-m", "bench.alerts.program")


def run_program(installation: Installation, *arguments: str) -> dict[str, Any]:
    """Run the program, and return what it prints."""
    process = subprocess.run(
        [*PROGRAM, *arguments],
        env=dict(installation.environment),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    printed: dict[str, Any] = orjson.loads(process.stdout)
    return printed
