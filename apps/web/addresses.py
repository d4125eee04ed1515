"""Where a request comes from.

The peer's address counts, unless the installation is behind proxies: then the one that the outermost of
DROVER_TRUSTED_PROXIES proxies saw. Each appends what it sees to X-Forwarded-For, so entries are counted from the right;
what stands further left was written by the client. No other header (Forwarded, X-Real-IP, X-Forwarded-Host,
X-Forwarded-Port) is read, and uvicorn must not rewrite the peer itself: `local/web.py` and the image start it so.
"""

from __future__ import annotations

import ipaddress
import re

from django.conf import settings
from django.http import HttpRequest

# [2001:db8::1]:443, 192.0.2.7:443
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d{1,5})?|([\d.]+):\d{1,5}")


def client_ip(request: HttpRequest) -> str | None:
    """The caller's address; None when the server does not know it, as for a Unix socket."""
    direct = normalised(request.META.get("REMOTE_ADDR", ""))
    hops = settings.TRUSTED_PROXIES
    if hops < 1:
        return direct
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    return (len(forwarded) >= hops and normalised(forwarded[-hops])) or direct


def normalised(text: str) -> str | None:
    """An address in the one form that brakes, allow lists and the audit trail compare: without port, brackets and
    zone, and IPv4 as IPv4 although a socket for both shows it as IPv6. None for anything else."""
    text = text.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
