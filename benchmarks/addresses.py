"""Address databases for the events' addresses, built in MaxMind's format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import netaddr
from mmdb_writer import MMDBWriter

_PLACES = (
    ("DE", "BE", "Berlin", 52.52, 13.405, "Europe/Berlin"),
    ("GB", "ENG", "London", 51.5, -0.125, "Europe/London"),
    ("US", "NY", "New York", 40.71, -74.0, "America/New_York"),
    ("IN", "MH", "Mumbai", 19.07, 72.88, "Asia/Kolkata"),
    ("BR", "SP", "São Paulo", -23.55, -46.63, "America/Sao_Paulo"),
)


def write_databases(directory: Path) -> tuple[Path, Path]:
    """Write a city and a network database that cover the public addresses of the events; return their paths."""
    city, network = MMDBWriter(6, "City", ipv4_compatible=True), MMDBWriter(6, "ASN", ipv4_compatible=True)
    chance = Random(1)  # noqa: S311 - a load that can be repeated
    for block in _blocks():
        country, region, town, latitude, longitude, zone = chance.choice(_PLACES)
        place = {
            "country": {"iso_code": country},
            "subdivisions": [{"iso_code": region, "names": {"en": region}}],
            "city": {"names": {"en": town}},
            "location": {"latitude": latitude, "longitude": longitude, "time_zone": zone},
        }
        number = chance.randrange(1000, 60_000)
        owner = {"autonomous_system_number": number, "autonomous_system_organization": f"Network {number}"}
        city.insert_network(block, place)
        network.insert_network(block, owner)
    paths = directory / "city.mmdb", directory / "asn.mmdb"
    for writer, path in zip((city, network), paths, strict=True):
        writer.to_db_file(str(path))
    return paths


def _blocks() -> Iterator[netaddr.IPSet]:
    for first in (*range(1, 10), *range(11, 127), *range(128, 224)):
        for second in (0, 64, 128, 192):
            yield netaddr.IPSet([f"{first}.{second}.0.0/10"])
    yield netaddr.IPSet(["2a02::/16"])
