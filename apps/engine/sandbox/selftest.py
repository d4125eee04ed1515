"""Test this machine's sandbox: code tries some simple escapes and reports which succeeded."""

from __future__ import annotations

import time
from dataclasses import dataclass

from apps.engine.failures import EngineError
from apps.engine.sandbox.limits import Limits
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.session import Sandbox

SECONDS = 20.0
TRIES = """
import _socket, os
from drover import Page, Source


def opens(path):
    with open(path):
        return True


def connects():
    return _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM).fileno() >= 0


def forks():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return True


class Trying(Source):
    streams = ["tries"]

    def get(self, pagination=None):
        tries = {
            "read a file of the system": lambda: opens("/etc/passwd"),
            "read a file of Drover": lambda: opens(self.config.platform),
            "open a socket": connects,
            "start a process": forks,
        }
        won = []
        for name, attempt in tries.items():
            try:
                if attempt():
                    won.append(name)
            except OSError:
                pass
        return Page([{"won": won}])
"""


@dataclass(frozen=True, slots=True)
class Tested:
    """`holds` with the level and layers in `isolation`, or else `why` not; `ms` is the time to set up the sandbox."""

    holds: bool
    isolation: str
    ms: float
    why: str = ""


def test(ground: SandboxSite) -> Tested:
    """Start a sandbox as runs do and let the code try to escape."""
    started = time.perf_counter()
    bound = {
        "config": {"platform": __file__},
        "stream": "tries",
        "sync_mode": "full_refresh",
        "cursor": None,
    }
    try:
        with Sandbox(TRIES, ground=ground, limits=Limits(wall_seconds=SECONDS)) as sandbox:
            sandbox.wait_ready()
            ms = round((time.perf_counter() - started) * 1000, 1)
            answer = sandbox.ask("page", bound=bound, pagination=None, since=None, limit=None)
            won = answer.rows[0]["won"]
            why = f"code could {', '.join(won)}" if won else ""
            return Tested(not won, sandbox.isolation.explained, ms, why)
    except EngineError as error:
        return Tested(False, "", 0.0, " ".join((error.message, *error.evidence)))
