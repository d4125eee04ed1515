"""Child processes that print JSON."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import orjson

from bench.scratch import ROOT

# Set in the processes of measurements, because one member sends all messages.
HIGH_LIMITS = {
    "DROVER_AGENT_MEMBER_TURNS_PER_MINUTE": "100000",
    "DROVER_AGENT_ORG_TURNS_PER_MINUTE": "100000",
}


def output_of(environment: Mapping[str, str], module: str, *arguments: str) -> Any:
    """Run `python -m module`, and return the JSON that it prints."""
    process = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**environment, **HIGH_LIMITS},
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    return orjson.loads(process.stdout)
