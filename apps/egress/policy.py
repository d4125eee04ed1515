"""Decide to which addresses the engine may connect.

Every connection of a source or destination uses `check_host`. It resolves a name once and checks every address.
The caller connects to a checked address, so a later DNS answer cannot change the result.
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

# Addresses at which cloud providers offer credentials of the machine. No setting allows connections to them.
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
# Special ranges of RFC 6890 and its successors. Python has such a table too, but it differs between patch releases.
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
    """Return `allowed_addresses`, and record the result in the egress log of this process."""
    try:
        addresses = allowed_addresses(host, port, allow_private=allow_private)
    except EgressError as error:
        log.record_refusal(host, port, error.message)
        raise
    log.record_connection(host, port, addresses[0])
    return addresses


def allowed_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses of `host`, if connections to all of them are allowed.

    Raises HostRefused or NotAHost with the reason, or HostNotFound if it has no address. `allow_private` allows
    private addresses. Metadata addresses are never allowed.
    """
    if not 1 <= port <= 65535:
        raise NotAHost(f"port {port} is not between 1 and 65535")
    name = host.strip().removeprefix("[").removesuffix("]")
    address_literal = _parse_address(name)
    if address_literal is not None:
        _require_allowed_address(host, address_literal, allow_private=allow_private)
        return [str(address_literal)]
    _require_host_name(host, name)
    addresses = resolve(name, port)
    for address in addresses:
        _require_allowed_address(host, ipaddress.ip_address(address), allow_private=allow_private)
    return addresses


def resolve(name: str, port: int) -> list[str]:
    """Return every address of the name, without IPv6 scope ids, in the order of the resolver. Raises HostNotFound."""
    try:
        results = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a valid name"
        raise HostNotFound(f"host {name!r} cannot be found", evidence=(str(reason),)) from error
    return list(dict.fromkeys(str(result[4][0]) for result in results))


def refusal_reason(address: Address, *, allow_private: bool) -> str | None:
    """Return the reason why connections to the address are not allowed, or None if they are allowed."""
    embedded_address = embedded_ipv4(address)
    target = embedded_address if embedded_address is not None else address
    if target in METADATA_ADDRESSES:
        return "a cloud metadata address"
    if address.is_link_local or target.is_link_local or getattr(address, "scope_id", None):
        return "a link-local address"
    if address.is_unspecified or target.is_unspecified or target.is_multicast:
        return "not an address of one host"
    if allow_private:
        return None
    return _non_public_reason(address, embedded_address)


def embedded_ipv4(address: Address) -> IPv4Address | None:
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


def _non_public_reason(address: Address, embedded_address: IPv4Address | None) -> str | None:
    """Return the reason why the address is not public, or None if it is public."""
    if isinstance(address, IPv4Address):
        return None if _is_public_v4(address) else "not a public address"
    if embedded_address is not None and address.ipv4_mapped is not None:
        return None if _is_public_v4(embedded_address) else "not a public address"
    if embedded_address is not None:
        # The address may lead through a tunnel to any host of the network at the other end.
        return "an IPv6 transition address"
    is_special = any(address in network for network in SPECIAL_V6)
    is_public = address in GLOBAL_UNICAST and address.is_global and not is_special
    return None if is_public else "not a public address"


def _is_public_v4(address: IPv4Address) -> bool:
    is_special = any(address in network for network in SPECIAL_V4)
    return address.is_global and not is_special and not address.is_multicast


def _parse_address(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _require_allowed_address(host: str, address: Address, *, allow_private: bool) -> None:
    reason = refusal_reason(address, allow_private=allow_private)
    if reason is None:
        return
    host_text = host if str(address) == host.strip("[] ") else f"{host} ({address})"
    raise HostRefused(f"host {host_text} is refused: {reason}")


def _require_host_name(host: str, name: str) -> None:
    if len(name) > 253 or not HOST_NAME.match(name):
        raise NotAHost(f"host {host[:100]!r} is not a host name or address")
    labels = name.rstrip(".").split(".")
    if all(NUMBER_LABEL.match(label) for label in labels):
        # The C library reads 2130706433, 0x7f.1 and 0177.0.0.1 as 127.0.0.1.
        raise HostRefused(
            f"host {host[:100]!r} is refused: write the address in its usual dotted form"
        )
    if name.rstrip(".").lower() in METADATA_NAMES:
        raise HostRefused(f"host {host} is refused: a cloud metadata address")
