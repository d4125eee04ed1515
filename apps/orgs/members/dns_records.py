"""Query TXT records at the configured name servers, or at those of the system.

Queries are slow: make them outside every transaction.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
from django.conf import settings

LOOKUP_SECONDS = 5.0  # for all servers and retries together


class LookupFailed(Exception):
    """The name servers could not be queried. The message is the reason."""


def ascii_domain(text: str) -> str:
    """Return a domain of at least two labels in the form used by DNS (IDNA 2008).

    Raises ValueError for anything else.
    """
    try:
        name = dns.name.from_unicode(text.strip(), idna_codec=dns.name.IDNA_2008_UTS_46)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ValueError(text) from error
    domain = name.to_text(omit_final_dot=True).lower()
    labels = domain.split(".")
    if (
        len(labels) < 2
        or not all(labels)
        or labels[-1].isdigit()
        or len(domain) > 253
        or "\\" in domain
    ):
        raise ValueError(text)
    return domain


def query_txt_records(domain: str) -> frozenset[str]:
    """Return the TXT records of this name as texts. The set is empty if there are none.

    Does not follow an alias (CNAME), because its target may belong to somebody else. Raises LookupFailed.
    """
    name = dns.name.from_text(domain)
    try:
        response = _create_resolver().resolve(name, "TXT", raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return frozenset()
    except dns.resolver.LifetimeTimeout as error:
        raise LookupFailed("no response in time") from error
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise LookupFailed("no server responded") from error
    if response.rrset is None or response.canonical_name != name:
        return frozenset()
    return frozenset(b"".join(row.strings).decode("ascii", "replace") for row in response.rrset)


def _create_resolver() -> dns.resolver.Resolver:
    servers = settings.DNS_SERVERS
    resolver = dns.resolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [_parse_server(text) for text in servers]
    resolver.lifetime = LOOKUP_SECONDS
    return resolver


def _parse_server(text: str) -> dns.nameserver.Nameserver:
    """Parse `192.0.2.1`, `192.0.2.1:5353` or `[2001:db8::1]:53`."""
    parts = urlsplit(f"//{text}")
    return dns.nameserver.Do53Nameserver(parts.hostname or text, parts.port or 53)
