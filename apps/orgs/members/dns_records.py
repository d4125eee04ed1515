"""Look up TXT records at the configured name servers, or the system's. Slow: call outside every transaction."""

from __future__ import annotations

from urllib.parse import urlsplit

import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
from django.conf import settings

LOOKUP_SECONDS = 5.0  # for all servers and retries together


class LookUpFailed(Exception):
    """The name servers could not be queried; the message says why."""


def ascii_domain(text: str) -> str:
    """Return a domain of at least two labels in the form used by DNS (IDNA 2008).

    Raises ValueError for anything else.
    """
    try:
        name = dns.name.from_unicode(text.strip(), idna_codec=dns.name.IDNA_2008_UTS_46)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ValueError(text) from error
    found = name.to_text(omit_final_dot=True).lower()
    labels = found.split(".")
    if (
        len(labels) < 2
        or not all(labels)
        or labels[-1].isdigit()
        or len(found) > 253
        or "\\" in found
    ):
        raise ValueError(text)
    return found


def txt_at(domain: str) -> frozenset[str]:
    """Return the TXT records of exactly this name, as text. The set is empty if it has none.

    An alias (CNAME) is not followed, because its target is another domain's. Raises LookUpFailed.
    """
    name = dns.name.from_text(domain)
    try:
        answer = _resolver().resolve(name, "TXT", raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return frozenset()
    except dns.resolver.LifetimeTimeout as error:
        raise LookUpFailed("no response in time") from error
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise LookUpFailed("no server responded") from error
    if answer.rrset is None or answer.canonical_name != name:
        return frozenset()
    return frozenset(b"".join(row.strings).decode("ascii", "replace") for row in answer.rrset)


def _resolver() -> dns.resolver.Resolver:
    servers = settings.DNS_SERVERS
    resolver = dns.resolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [_server(text) for text in servers]
    resolver.lifetime = LOOKUP_SECONDS
    return resolver


def _server(text: str) -> dns.nameserver.Nameserver:
    """Parse `192.0.2.1`, `192.0.2.1:5353` or `[2001:db8::1]:53`."""
    parts = urlsplit(f"//{text}")
    return dns.nameserver.Do53Nameserver(parts.hostname or text, parts.port or 53)
