"""Test the sandbox of this machine: run code that tries some simple escapes and reports which of them succeeded."""

from __future__ import annotations

import time
from dataclasses import dataclass

from apps.engine.failures import EngineError
from apps.engine.sandbox.limits import Limits
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.session import Sandbox

TIME_LIMIT = 20.0  # seconds
ESCAPE_ATTEMPTS = """
import _socket, os
from drover import Page, Source


def can_open(path):
    with open(path):
        return True


def can_open_socket():
    return _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM).fileno() >= 0


def can_fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return True


class EscapingSource(Source):
    streams = ["attempts"]

    def get(self, pagination=None):
        attempts = {
            "read a file of the system": lambda: can_open("/etc/passwd"),
            "read a file of Drover": lambda: can_open(self.config.drover_file),
            "open a socket": can_open_socket,
            "start a process": can_fork,
        }
        escapes = []
        for name, attempt in attempts.items():
            try:
                if attempt():
                    escapes.append(name)
            except OSError:
                pass
        return Page([{"escapes": escapes}])
"""


@dataclass(frozen=True, slots=True)
class SelfTestResult:
    """The result of the test. If the sandbox is not secure, `reason` says why.

    `isolation` names the level and the layers. `start_ms` is the time to set up the sandbox.
    """

    is_secure: bool
    isolation: str
    start_ms: float
    reason: str = ""


def test(site: SandboxSite) -> SelfTestResult:
    """Start a sandbox in the same way as a run does, and let the code try to escape."""
    started = time.perf_counter()
    settings = {
        "config": {"drover_file": __file__},
        "stream": "attempts",
        "sync_mode": "full_refresh",
        "cursor": None,
    }
    try:
        with Sandbox(ESCAPE_ATTEMPTS, site=site, limits=Limits(wall_seconds=TIME_LIMIT)) as sandbox:
            sandbox.wait_until_ready()
            start_ms = round((time.perf_counter() - started) * 1000, 1)
            answer = sandbox.call(
                "page", source_settings=settings, pagination=None, since=None, limit=None
            )
            escapes = answer.rows[0]["escapes"]
            reason = f"code could {', '.join(escapes)}" if escapes else ""
            return SelfTestResult(not escapes, sandbox.isolation.summary, start_ms, reason)
    except EngineError as error:
        return SelfTestResult(False, "", 0.0, " ".join((error.message, *error.evidence)))
