"""Record the hosts that this process connected to or was refused: one entry per host, port and result."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any

MAX_LINES = 300  # Code that tries many hosts must not fill our memory.


@dataclass(slots=True)
class HostUsage:
    """Connections to one host. `sent` and `received` are bytes, if they are counted."""

    host: str
    port: int
    address: str = ""
    refused: str = ""
    connections: int = 0
    sent: int = 0
    received: int = 0


class EgressLog:
    """The log of one process. Thread-safe. `changed` increases with every new fact."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[tuple[str, int, str], HostUsage] = {}
        self.changed = 0

    def passed(self, host: str, port: int, address: str) -> bool:
        """Record a connection; returns whether it is the first to this host."""
        return self._add(HostUsage(host, port, address))

    def refused(self, host: str, port: int, why: str) -> bool:
        return self._add(HostUsage(host, port, refused=why))

    def carried(self, host: str, port: int, *, sent: int, received: int) -> None:
        """Add the bytes of a recorded connection."""
        with self._lock:
            line = self._lines.get((_shown(host), port, ""))
            if line is not None:
                line.sent += sent
                line.received += received
                self.changed += 1

    def to_json(self) -> list[dict[str, Any]]:
        """Return the entries, ordered by the first attempt at each."""
        with self._lock:
            return [asdict(line) for line in self._lines.values()]

    def _add(self, line: HostUsage) -> bool:
        line.host = _shown(line.host)
        key = (line.host, line.port, line.refused)
        with self._lock:
            known = self._lines.get(key)
            if known is None and len(self._lines) >= MAX_LINES:
                return False
            self._lines.setdefault(key, line).connections += 1
            self.changed += 1
        return known is None


def _shown(host: str) -> str:
    """Escape a host name of untrusted code or servers for databases and pages."""
    return "".join(char if char.isprintable() else "\ufffd" for char in host[:253])


log = EgressLog()  # The log of this process, which serves one run or one call.
