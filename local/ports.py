"""Loopback ports that stay the same over restarts, because saved settings contain them."""

import contextlib
import json
import socket
from pathlib import Path

from local.database.postgres import free_port
from local.errors import LocalError
from local.keys import write_private


def refuse_port_in_use(port: int) -> None:
    """Raise LocalError if the web server's port is in use."""
    if not is_free(port):
        raise LocalError(
            f"Port {port} is in use: stop what listens there, or choose another with PORT=8001."
        )


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def kept_port(file: Path, name: str) -> int:
    """Return the last port of `name` if it is still free, else a new one that is used from now on."""
    known: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(file.read_text())
    port = known.get(name)
    if isinstance(port, int) and is_free(port):
        return port
    known[name] = free_port()
    write_private(file, json.dumps(known) + "\n")
    return known[name]
