"""Addresses: their syntax, their canonical form, and which kind of network they belong to."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

AddressKind = Literal[
    "", "public", "private", "loopback", "link_local", "documentation", "multicast", "reserved", "shared", "unspecified"
]

#: Longest text of an address: eight groups, the last two as IPv4.
MAX_TEXT = 45

# Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries, RFC 6890, RFC 9637 (3fff::/20), RFC 8215
# (64:ff9b:1::/48), RFC 9602 (5f00::/16). The first network that holds an address decides.
_V4_KINDS: tuple[tuple[str, AddressKind], ...] = (
    ("0.0.0.0/32", "unspecified"),
    ("0.0.0.0/8", "reserved"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link_local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "reserved"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("0.0.0.0/0", "public"),
)
_V6_KINDS: tuple[tuple[str, AddressKind], ...] = (
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("64:ff9b::/96", "public"),
    ("64:ff9b:1::/48", "private"),
    ("2001:db8::/32", "documentation"),
    ("3fff::/20", "documentation"),
    ("2001::/32", "public"),
    ("2001::/23", "reserved"),
    ("2000::/3", "public"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link_local"),
    ("fec0::/10", "private"),
    ("ff00::/8", "multicast"),
    ("::/0", "reserved"),
)


def _masks(kinds: tuple[tuple[str, AddressKind], ...]) -> tuple[tuple[int, int, AddressKind], ...]:
    networks = [(IPv6Network(text) if ":" in text else IPv4Network(text), kind) for text, kind in kinds]
    return tuple((int(network.netmask), int(network.network_address), kind) for network, kind in networks)


_V4, _V6 = _masks(_V4_KINDS), _masks(_V6_KINDS)

Address = IPv4Address | IPv6Address


def parse_address(text: str) -> Address | None:
    """Return an address from its plain text form, None when it is none.

    Refused: zone indexes, ports, brackets, prefixes, leading zeros in IPv4, white space. An IPv4 address mapped into
    IPv6 is returned as IPv4: it is the same client.
    """
    # Zone indexes and endless text never reach the parser, which accepts the former.
    if len(text) > MAX_TEXT or "%" in text:
        return None
    try:
        if ":" not in text:
            return IPv4Address(text)
        address = IPv6Address(text)
    except AddressValueError:
        return None
    return address.ipv4_mapped or address


def kind_of(address: Address) -> AddressKind:
    """Return which kind of network an address belongs to."""
    value = int(address)
    table = _V4 if isinstance(address, IPv4Address) else _V6
    return next(kind for mask, network, kind in table if value & mask == network)


def canonical_bytes(address: Address) -> bytes:
    """Return the 16 bytes of an address as IPv6, IPv4 as ``::ffff:a.b.c.d``."""
    return address.packed if isinstance(address, IPv6Address) else b"\0" * 10 + b"\xff\xff" + address.packed
