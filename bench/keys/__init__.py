"""The cost of an API key per request, compared with one bcrypt hash per request.

Measures the first use of a key, its later uses, and a key with a wrong secret.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import orjson

from bench.figures import Figure, figure_with_upper_bound
from bench.scratch import ROOT, Installation


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Measure each round in a new process, whose cache of verified keys is empty."""
    results = [_run_round(installation) for _ in range(rounds)]
    values_by_name = {name: [result[name] for result in results] for name in results[0]}
    comparison = f"one bcrypt hash per request: {sorted(values_by_name['bcrypt'])[rounds // 2]:.0f} ms of CPU"
    yield figure_with_upper_bound(
        "API key, first use", comparison, values_by_name["first"], at_most=400, unit="ms"
    )
    yield figure_with_upper_bound(
        "API key, later uses, CPU", comparison, values_by_name["later"], at_most=2, unit="ms"
    )
    yield figure_with_upper_bound(
        "API key, wrong secret, CPU", comparison, values_by_name["wrong"], at_most=2, unit="ms"
    )


def _run_round(installation: Installation) -> dict[str, float]:
    process = subprocess.run(
        [sys.executable, "-m", "bench.keys.time_key_uses"],
        env=dict(installation.environment),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    times: dict[str, float] = orjson.loads(process.stdout)
    return times
