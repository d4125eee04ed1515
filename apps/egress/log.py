"""Record the hosts to which this process connected or was not allowed to connect."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any

MAX_ENTRIES = 300  # Limits the memory when code tries many hosts.


@dataclass(slots=True)
class HostUsage:
    """The connections to one host and port, or the refused attempts. `refused` is the reason for a refusal.

    `sent` and `received` are bytes. They are 0 if the bytes are not counted.
    """

    host: str
    port: int
    address: str = ""
    refused: str = ""
    connections: int = 0
    sent: int = 0
    received: int = 0


class EgressLog:
    """The egress log of one process. Thread-safe. `change_count` increases with every change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, int, str], HostUsage] = {}
        self.change_count = 0

    def record_connection(self, host: str, port: int, address: str) -> bool:
        """Record a connection. Returns whether it is the first one to this host and port."""
        return self._add(HostUsage(host, port, address))

    def record_refusal(self, host: str, port: int, reason: str) -> bool:
        return self._add(HostUsage(host, port, refused=reason))

    def record_bytes(self, host: str, port: int, *, sent: int, received: int) -> None:
        """Add the transferred bytes of a recorded connection."""
        with self._lock:
            entry = self._entries.get((_printable_host(host), port, ""))
            if entry is not None:
                entry.sent += sent
                entry.received += received
                self.change_count += 1

    def clear(self) -> None:
        """Forget all entries, because this process executes another run from now on."""
        with self._lock:
            self._entries.clear()
            self.change_count += 1

    def to_json(self) -> list[dict[str, Any]]:
        """Return the entries in the order of their first attempts."""
        with self._lock:
            return [asdict(entry) for entry in self._entries.values()]

    def _add(self, entry: HostUsage) -> bool:
        entry.host = _printable_host(entry.host)
        key = (entry.host, entry.port, entry.refused)
        with self._lock:
            existing = self._entries.get(key)
            if existing is None and len(self._entries) >= MAX_ENTRIES:
                return False
            self._entries.setdefault(key, entry).connections += 1
            self.change_count += 1
        return existing is None


def _printable_host(host: str) -> str:
    """Replace unprintable characters in the host name, which untrusted code or a server may have chosen."""
    return "".join(char if char.isprintable() else "\ufffd" for char in host[:253])


log = EgressLog()  # The log of this process, for the run or the call that it executes.
