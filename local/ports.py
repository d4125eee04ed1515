"""Choose loopback ports. They stay the same after a restart, because saved settings contain them."""

import contextlib
import json
import socket
from pathlib import Path

from local.database.postgres import find_free_port
from local.errors import LocalError
from local.keys import write_private


def refuse_port_in_use(port: int) -> None:
    """Raise LocalError if the web server's port is in use."""
    if not is_free(port):
        raise LocalError(
            f"Port {port} is in use: stop the program that uses it, or choose another port with PORT=8001."
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


def reserve_port(file: Path, name: str) -> int:
    """Return the port that the file records for `name`. If there is none or it is in use, record another one."""
    ports: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):
        ports = json.loads(file.read_text())
    port = ports.get(name)
    if isinstance(port, int) and is_free(port):
        return port
    ports[name] = find_free_port()
    write_private(file, json.dumps(ports) + "\n")
    return ports[name]
