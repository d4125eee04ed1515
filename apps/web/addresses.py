"""Find the IP address of the client that sent a request.

DROVER_TRUSTED_PROXIES is the number of trusted proxies. Without proxies the client is the peer. Otherwise it is the
address that the outermost trusted proxy has seen. Each proxy appends the address it sees to X-Forwarded-For, so entries are counted from the
right. The client itself may have sent the entries further left. No other header (Forwarded, X-Real-IP,
X-Forwarded-Host, X-Forwarded-Port) is read. uvicorn must not replace the peer by an address from a header:
`local/web.py` and the image start it with --no-proxy-headers.
"""

from __future__ import annotations

import ipaddress
import re

from django.conf import settings
from django.http import HttpRequest

# [2001:db8::1]:443, [2001:db8::1] or 192.0.2.7:443
_BRACKETS_OR_PORT = re.compile(r"\[([^\]]+)\](?::\d{1,5})?|([\d.]+):\d{1,5}")


def client_ip(request: HttpRequest) -> str | None:
    """Return the client's address, or None if the server does not know it, as for a Unix socket."""
    peer = normalise_address(request.META.get("REMOTE_ADDR", ""))
    proxies = settings.TRUSTED_PROXIES
    if proxies < 1:
        return peer
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    return (len(forwarded) >= proxies and normalise_address(forwarded[-proxies])) or peer


def normalise_address(text: str) -> str | None:
    """Return an address in the form that rate limits, allow lists and the audit log compare. None if it is invalid.

    This form has no port, brackets or zone. An IPv4-mapped IPv6 address becomes an IPv4 address.
    """
    text = text.strip()
    if found := _BRACKETS_OR_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
