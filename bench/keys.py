"""The cost of an API key per request: its first use, later ones, and a wrong secret; compared with bcrypt each
time.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import orjson

from bench.figures import Figure, bound
from bench.scratch import ROOT, Scratch


def measure(place: Scratch, rounds: int) -> Iterator[Figure]:
    """Measure each round in a new process, whose cache of verified keys is empty."""
    taken = [_round(place) for _ in range(rounds)]
    each = {name: [one[name] for one in taken] for name in taken[0]}
    rival = f"bcrypt each time: {sorted(each['bcrypt'])[rounds // 2]:.0f} ms of CPU"
    yield bound("API key, first use", rival, each["first"], at_most=400, unit="ms")
    yield bound("API key, later uses, CPU", rival, each["later"], at_most=2, unit="ms")
    yield bound("API key, wrong secret, CPU", rival, each["wrong"], at_most=2, unit="ms")


def _round(place: Scratch) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.use_keys"],
        env=dict(place.environment),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, float] = orjson.loads(done.stdout)
    return found
