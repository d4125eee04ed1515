"""Run the named steps of a destination's check, in order, up to the first that fails."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator

from apps.egress.policy import check_host
from apps.engine.contract import CheckStep
from apps.engine.failures import EXPECTED_ERRORS, DestinationError, message_with_evidence

Step = tuple[str, Callable[[], str]]


def run_steps(steps: Iterable[Step]) -> Iterator[CheckStep]:
    """Yield each step's result. A step returns its message, or raises one of EXPECTED_ERRORS."""
    for name, action in steps:
        started = time.perf_counter()
        try:
            message, ok = action(), True
        except EXPECTED_ERRORS as error:
            message, ok = message_with_evidence(error), False
        yield CheckStep(name, ok, message, round((time.perf_counter() - started) * 1000, 1))
        if not ok:
            return


def resolve(host: str, port: int, *, allow_private: bool) -> str:
    """Resolve the host, check its addresses against the egress policy, and return the step's message."""
    addresses = check_host(host, port, allow_private=allow_private)
    return f"{host} is {', '.join(addresses[:3])}"


def connect(host: str, port: int, *, allow_private: bool, seconds: float = 10.0) -> str:
    """Open a TCP connection to a checked address, and return the step's message. Raises DestinationError."""
    reason = ""
    for address in check_host(host, port, allow_private=allow_private):
        try:
            socket.create_connection((address, port), timeout=seconds).close()
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            return f"{host}:{port} accepts connections"
    raise DestinationError(f"{host}:{port} does not accept connections", evidence=(reason,))
