"""Decide which addresses the engine may connect to.

Every connection of a source or destination uses `check_host`: a name is resolved once, every address is
checked, and the caller connects to a checked address, so a later DNS answer cannot change the result.
"""

from __future__ import annotations

import ipaddress
import re
import socket

from apps.egress.exceptions import EgressError, HostNotFound, HostRefused, NotAHost
from apps.egress.log import log

IPv4Address = ipaddress.IPv4Address
IPv6Address = ipaddress.IPv6Address
Address = IPv4Address | IPv6Address

# Addresses at which clouds provide machine credentials. No setting allows these.
METADATA_ADDRESSES: frozenset[Address] = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure, OpenStack, DigitalOcean, ...
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure host agent
        "192.0.0.192",  # Oracle, older
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS EKS pod identity
        "fd20:ce::254",  # Google
    )
)
METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data"})

NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
# Special ranges by RFC 6890 and its successors; Python's own table differs between patch releases.
SPECIAL_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
    )
)
SPECIAL_V6 = tuple(
    ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20")
)
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
NUMBER_LABEL = re.compile(r"^(0x[0-9a-f]*|[0-9]+)$", re.IGNORECASE)
HOST_NAME = re.compile(r"^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?$", re.IGNORECASE)


def check_host(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Like `judge`, and recorded in this process's egress log."""
    try:
        addresses = judge(host, port, allow_private=allow_private)
    except EgressError as error:
        log.refused(host, port, error.message)
        raise
    log.passed(host, port, addresses[0])
    return addresses


def judge(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses that `host` resolves to, all of which are allowed.

    Raises HostRefused and NotAHost with the reason, and HostNotFound if it has no address. With
    `allow_private`, private addresses are allowed; metadata addresses never are.
    """
    if not 1 <= port <= 65535:
        raise NotAHost(f"port {port} is not between 1 and 65535")
    name = host.strip().removeprefix("[").removesuffix("]")
    literal = _literal(name)
    if literal is not None:
        _require_fit(host, literal, allow_private=allow_private)
        return [str(literal)]
    _require_name(host, name)
    addresses = resolve(name, port)
    for address in addresses:
        _require_fit(host, ipaddress.ip_address(address), allow_private=allow_private)
    return addresses


def resolve(name: str, port: int) -> list[str]:
    """Return every address of the name, without scopes, in the resolver's order. Raises HostNotFound."""
    try:
        answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a valid name"
        raise HostNotFound(f"host {name!r} cannot be found", evidence=(str(reason),)) from error
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def refusal(address: Address, *, allow_private: bool) -> str | None:
    """Return why connections to the address are not allowed, or None if they are."""
    inner = embedded(address)
    meant = inner if inner is not None else address
    if meant in METADATA_ADDRESSES:
        return "a cloud metadata address"
    if address.is_link_local or meant.is_link_local or getattr(address, "scope_id", None):
        return "a link-local address"
    if address.is_unspecified or meant.is_unspecified or meant.is_multicast:
        return "not an address of one host"
    if allow_private:
        return None
    return _not_public(address, inner)


def embedded(address: Address) -> IPv4Address | None:
    """Return the IPv4 address inside an IPv6 transition address: mapped, compatible, 6to4, Teredo, NAT64."""
    if not isinstance(address, IPv6Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in NAT64) or int(address) >> 32 == 0:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _not_public(address: Address, inner: IPv4Address | None) -> str | None:
    if isinstance(address, IPv4Address):
        return None if _is_public_v4(address) else "not a public address"
    if inner is not None and address.ipv4_mapped is not None:
        return None if _is_public_v4(inner) else "not a public address"
    if inner is not None:
        # A tunnel may end anywhere inside the network where it starts.
        return "an IPv6 transition address"
    special = any(address in network for network in SPECIAL_V6)
    public = address in GLOBAL_UNICAST and address.is_global and not special
    return None if public else "not a public address"


def _is_public_v4(address: IPv4Address) -> bool:
    special = any(address in network for network in SPECIAL_V4)
    return address.is_global and not special and not address.is_multicast


def _literal(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _require_fit(host: str, address: Address, *, allow_private: bool) -> None:
    why = refusal(address, allow_private=allow_private)
    if why is None:
        return
    shown = host if str(address) == host.strip("[] ") else f"{host} ({address})"
    raise HostRefused(f"host {shown} is refused: {why}")


def _require_name(host: str, name: str) -> None:
    if len(name) > 253 or not HOST_NAME.match(name):
        raise NotAHost(f"host {host[:100]!r} is not a host name or address")
    labels = name.rstrip(".").split(".")
    if all(NUMBER_LABEL.match(label) for label in labels):
        # The C library accepts 2130706433, 0x7f.1 and 0177.0.0.1 as 127.0.0.1.
        raise HostRefused(
            f"host {host[:100]!r} is refused: write the address in its usual dotted form"
        )
    if name.rstrip(".").lower() in METADATA_NAMES:
        raise HostRefused(f"host {host} is refused: a cloud metadata address")
