"""The engine connects only to addresses that the policy allows, checked with known and with random addresses."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.egress.exceptions import EgressError, HostNotFound, HostRefused, NotAHost
from apps.egress.policy import METADATA_ADDRESSES, check_host, refusal_reason

NOT_PUBLIC_ADDRESSES = [
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "198.18.0.1",
    "198.19.255.255",
    "192.0.2.1",
    "192.0.0.192",
    "192.88.99.1",
    "203.0.113.7",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "ff02::1",
    "2001:db8::1",
    "3fff::1",
    "fec0::1",
    "5f00::1",
]
UNUSUAL_SPELLINGS = [
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "127.1",
    "0177.0.0.1",
    "017700000001",
    "0x7f.0x0.0x0.0x1",
    "127.0.0.1.",
    "0",
    "2852039166",
]
INVALID_HOST_NAMES = [
    "",
    " ",
    "a b",
    "a/b",
    "user@host",
    "host:80",
    "host#x",
    "host?x",
    "ho\x00st",
    "-x",
    "a%b",
]
PUBLIC_ADDRESSES = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("host", NOT_PUBLIC_ADDRESSES)
def test_an_address_that_is_not_public_is_refused(host: str) -> None:
    with pytest.raises(HostRefused, match="is refused"):
        check_host(host, 443, allow_private=False)


@pytest.mark.parametrize("host", UNUSUAL_SPELLINGS)
@pytest.mark.parametrize("allow_private", [True, False])
def test_other_spellings_of_an_address_never_reach_the_resolver(
    host: str, allow_private: bool
) -> None:
    with pytest.raises(HostRefused, match="is refused: write the address"):
        check_host(host, 443, allow_private=allow_private)


@pytest.mark.parametrize("host", INVALID_HOST_NAMES)
def test_text_that_is_not_a_host_name_is_refused(host: str) -> None:
    with pytest.raises(NotAHost, match="not a host name"):
        check_host(host, 443, allow_private=True)


@pytest.mark.parametrize("host", PUBLIC_ADDRESSES)
def test_a_public_address_is_returned_unchanged(host: str) -> None:
    assert check_host(host, 443, allow_private=False) == [str(ipaddress.ip_address(host))]


def test_brackets_around_an_ipv6_address_are_removed() -> None:
    assert check_host("[2606:4700:4700::1111]", 443, allow_private=False) == [
        "2606:4700:4700::1111"
    ]


def test_a_name_of_this_machine_is_refused_unless_private_networks_are_allowed() -> None:
    with pytest.raises(HostRefused, match=r"localhost \(.*\) is refused: not a public"):
        check_host("localhost", 80, allow_private=False)
    addresses = check_host("localhost", 80, allow_private=True)
    assert addresses
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "192.168.0.9", "fc00::1", "::1"])
def test_private_addresses_are_accepted_when_allowed(host: str) -> None:
    assert check_host(host, 5432, allow_private=True) == [host]


@pytest.mark.parametrize(
    "host",
    [
        *sorted(str(address) for address in METADATA_ADDRESSES),
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "metadata.google.internal",
        "METADATA.google.internal.",
        "169.254.0.1",
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "224.0.0.1",
        "fe80::1",
    ],
)
def test_metadata_and_reserved_addresses_are_refused_even_when_private_ones_are_allowed(
    host: str,
) -> None:
    with pytest.raises(HostRefused, match="is refused"):
        check_host(host, 80, allow_private=True)


def test_a_name_with_a_private_and_a_public_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resolve_to_mixed_addresses(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 80)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve_to_mixed_addresses)
    with pytest.raises(HostRefused, match=r"mixed\.test \(127\.0\.0\.1\) is refused"):
        check_host("mixed.test", 80, allow_private=False)


def test_an_unknown_host_name_is_reported_and_may_be_retried() -> None:
    with pytest.raises(HostNotFound, match="cannot be found") as raised:
        check_host("no-such-host.invalid", 443, allow_private=False)
    assert raised.value.retryable
    assert raised.value.evidence


@pytest.mark.parametrize("port", [0, -1, 65536, 10**26])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(NotAHost, match="port"):
        check_host("1.1.1.1", port, allow_private=False)


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_a_refused_ipv4_address_is_also_refused_inside_an_ipv6_address(
    address: ipaddress.IPv4Address,
) -> None:
    if refusal_reason(address, allow_private=False) is None:
        return
    number = int(address)
    ipv6_forms = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address(number),
    ]
    assert all(refusal_reason(ipv6_form, allow_private=False) for ipv6_form in ipv6_forms)


@settings(deadline=None)
@given(st.ip_addresses())
def test_public_addresses_are_also_accepted_when_private_ones_are_allowed(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if refusal_reason(address, allow_private=False) is None:
        assert refusal_reason(address, allow_private=True) is None


@settings(deadline=None)
@given(st.text(max_size=60), st.booleans())
def test_only_plain_host_names_reach_the_resolver(host: str, allow_private: bool) -> None:
    resolved_names: list[str] = []

    def record_name(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        resolved_names.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 80))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", record_name)
        try:
            check_host(host, 80, allow_private=allow_private)
        except EgressError:
            assert not resolved_names
    assert all(name.isascii() and not set(name) & set(" /\\@%\0#?:") for name in resolved_names)
