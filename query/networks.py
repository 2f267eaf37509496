"""Filters by address and network, of both versions of IP."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

from query.conditions import Build
from query.parameters import Parameters
from query.period import Clock

#: Where addresses of version 4 are kept in a column of type IPv6.
_MAPPED = IPv6Network("::ffff:0:0/96")


def network(column: str) -> Build:
    """Match an address or all of a network, of IP version 4 or 6; ``none`` matches rows without address."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        if text == "none":
            return f"{column} = {parameters.bind('::', 'IPv6')}"
        found = parse_network(text)
        if found.prefixlen == found.max_prefixlen:
            return f"{column} = {parameters.bind(str(mapped(found)[0]), 'IPv6')}"
        return _in_network(column, found, parameters)

    return build


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Parse an address or a network.

    Raises:
        ValueError: It is neither, or has bits set behind its prefix; the message says which.
    """
    if "%" in text:
        raise ValueError("an address with a zone is not stored")
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        whole = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("this is no address or network") from None
    raise ValueError(f"bits are set behind the prefix, the network is {whole}")


def mapped(found: IPv4Network | IPv6Network) -> tuple[IPv6Address, IPv6Address]:
    """Return the first and last address of a network as stored: version 4 as ``::ffff:a.b.c.d``."""
    base = int(_MAPPED.network_address) if found.version == 4 else 0
    return IPv6Address(base + int(found[0])), IPv6Address(base + int(found[-1]))


def _in_network(column: str, found: IPv4Network | IPv6Network, parameters: Parameters) -> str:
    first, last = (parameters.bind(str(a), "IPv6") for a in mapped(found))
    inside = f"{column} BETWEEN {first} AND {last}"
    if found.version == 4 or not found.supernet_of(_MAPPED):
        return f"({inside})"
    # A version 6 network this wide spans the place where version 4 addresses are kept, and `::` for none.
    low, high, none = (parameters.bind(a, "IPv6") for a in ("::ffff:0:0", "::ffff:255.255.255.255", "::"))
    return f"({inside} AND NOT ({column} BETWEEN {low} AND {high}) AND {column} != {none})"
