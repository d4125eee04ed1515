"""The list of hosts to which code may connect: `api.example.com`, `*.example.com`, `api.example.com:8443`, `*`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from apps.egress.exceptions import NotAHost
from apps.json import JsonObject

USUAL_PORTS = frozenset({80, 443})  # allowed by an entry without a port
ANY_HOST = "*"
MAX_HOSTS = 50
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_PATTERN = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*\.?|\[[0-9a-f:.]+\]", re.IGNORECASE)
_SETTING_PATTERN = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class AllowList:
    """A list of entries, which are compared with host names without DNS queries."""

    entries: tuple[str, ...]

    def allows(self, host: str, port: int) -> bool:
        name = host.lower().rstrip(".")
        return any(_matches(entry, name, port) for entry in self.entries)


def entry_problem(entry: str) -> str | None:
    """Return the reason why an entry is invalid, or None. `{setting}` stands for the host in that setting."""
    if entry == ANY_HOST or _SETTING_PATTERN.fullmatch(entry):
        return None
    host, port = _split_entry(entry)
    if len(host) > 253 or not _HOST_PATTERN.fullmatch(host):
        return f"{entry[:100]!r} is neither a host name nor *. followed by a domain name"
    if host.startswith("*.") and "." not in host[2:].rstrip("."):
        return f"{entry[:100]!r} would allow a whole top-level domain"
    if port is not None and not 1 <= port <= 65535:
        return f"{entry[:100]!r} has a port that is not between 1 and 65535"
    return None


def resolve_settings(entries: Iterable[str], config: JsonObject) -> AllowList:
    """Return the allow-list with each `{setting}` replaced by the host in that setting. Raises NotAHost."""
    return AllowList(tuple(_resolve_entry(entry, config) for entry in entries))


def host_of(url: str) -> str | None:
    """Return the allow-list entry for a URL: its host, and its port if that is not 80 or 443."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    try:
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return name if port is None or port in USUAL_PORTS else f"{name}:{port}"


def _resolve_entry(entry: str, config: JsonObject) -> str:
    setting = _SETTING_PATTERN.fullmatch(entry)
    if setting is None:
        return entry
    value = config.get(setting[1])
    host = host_of(value) if isinstance(value, str) and value else None
    if host is None or "*" in host or entry_problem(host) is not None:
        raise NotAHost(f"the setting {setting[1]!r} is not a host or a URL")
    return host


def _matches(entry: str, name: str, port: int) -> bool:
    if entry == ANY_HOST:
        return port in USUAL_PORTS
    host, allowed_port = _split_entry(entry.lower())
    if (port != allowed_port) if allowed_port is not None else (port not in USUAL_PORTS):
        return False
    host = host.rstrip(".").strip("[]")
    if host.startswith("*."):
        return name.endswith(host[1:]) and len(name) > len(host) - 1
    return name == host


def _split_entry(entry: str) -> tuple[str, int | None]:
    host, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return host, int(port)
    return entry, None
