"""The first steps of a connection check: resolve the host name, and open a TCP connection."""

from __future__ import annotations

import socket
from collections.abc import Callable

from apps.egress.policy import check_host
from apps.engine.failures import SourceError


def steps(
    host: str, port: int, *, allow_private: bool, timeout: float
) -> list[tuple[str, Callable[[], str]]]:
    """Return the first steps of a check, for `run_checks`. `timeout` is in seconds."""
    return [
        ("resolve", lambda: resolve_host(host, port, allow_private=allow_private)),
        (
            "connect",
            lambda: open_connection(host, port, allow_private=allow_private, timeout=timeout),
        ),
    ]


def resolve_host(host: str, port: int, *, allow_private: bool) -> str:
    """Return a message with the host's addresses. Raises ConfigurationError."""
    addresses = check_host(host, port, allow_private=allow_private)
    return f"{host} is {', '.join(addresses)}"


def open_connection(host: str, port: int, *, allow_private: bool, timeout: float) -> str:
    """Return a message with the address that accepts connections within `timeout` seconds. Raises SourceError."""
    problem = ""
    for address in check_host(host, port, allow_private=allow_private):
        try:
            socket.create_connection((address, port), timeout).close()
        except OSError as error:
            problem = f"{address}: {error.strerror or error}"
        else:
            return f"{address} accepts connections on port {port}"
    raise SourceError(f"{host}:{port} does not accept connections", evidence=(problem,))
