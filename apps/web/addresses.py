"""Determine the client's IP address of a request.

It is the peer's address, or the address seen by the outermost of DROVER_TRUSTED_PROXIES proxies. Each proxy appends
the address it sees to X-Forwarded-For, so entries are counted from the right; those further left come from the
client. No other header (Forwarded, X-Real-IP, X-Forwarded-Host, X-Forwarded-Port) is read. uvicorn must not rewrite
the peer; `local/web.py` and the image start it accordingly.
"""

from __future__ import annotations

import ipaddress
import re

from django.conf import settings
from django.http import HttpRequest

# [2001:db8::1]:443, 192.0.2.7:443
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d{1,5})?|([\d.]+):\d{1,5}")


def client_ip(request: HttpRequest) -> str | None:
    """Return the client's address; None if the server does not know it, as for a Unix socket."""
    direct = normalised(request.META.get("REMOTE_ADDR", ""))
    hops = settings.TRUSTED_PROXIES
    if hops < 1:
        return direct
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    return (len(forwarded) >= hops and normalised(forwarded[-hops])) or direct


def normalised(text: str) -> str | None:
    """Return an address in the form that rate limits, allow lists and the audit log compare; None if it is invalid.

    That is without port, brackets and zone, and IPv4 instead of an IPv4-mapped IPv6 address.
    """
    text = text.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
