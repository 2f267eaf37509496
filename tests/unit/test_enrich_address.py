"""Where a client was."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import netaddr
import pyarrow as pa
import pytest
from mmdb_writer import MMDBWriter

from consumers.coded import Coded
from consumers.enrich import AddressDatabases
from consumers.enrich import address as address_module
from consumers.enrich.address import AddressBook
from consumers.enrich.databases import read_network, read_place
from consumers.enrich.networks import canonical_bytes, kind_of, parse_address

CITY = {
    "country": {"iso_code": "GB"},
    "subdivisions": [{"iso_code": "ENG", "names": {"en": "England"}}],
    "city": {"names": {"en": "London", "de": "London"}},
    "location": {"latitude": 51.5, "longitude": -0.125, "time_zone": "Europe/London"},
}
NETWORK = {"autonomous_system_number": 20712, "autonomous_system_organization": "Andrews & Arnold"}


def write_database(path: Path, networks: Mapping[str, Mapping[str, Any]], ip_version: int = 6) -> Path:
    writer = MMDBWriter(ip_version, "Test", ipv4_compatible=ip_version == 6)
    for network, record in networks.items():
        writer.insert_network(netaddr.IPSet([network]), dict(record))
    scratch = path.with_suffix(".new")
    writer.to_db_file(str(scratch))
    scratch.replace(path)
    return path


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def join(
    book: AddressBook, *ips: str, chains: list[list[str]] | None = None, hops: list[int] | None = None
) -> tuple[list[dict[str, Any]], list[bool]]:
    chain = pa.array(chains or [[]] * len(ips), pa.list_(pa.string()))
    columns, unusable = book.join(Coded.of(pa.array(ips), None), chain, pa.array(hops or [0] * len(ips), pa.int32()))
    rows = [
        dict(zip(columns, row, strict=True)) for row in zip(*(c.to_pylist() for c in columns.values()), strict=True)
    ]
    return rows, unusable.tolist()


@pytest.fixture
def plain() -> AddressBook:
    return AddressBook(AddressDatabases(None, None, 10))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("8.8.8.8", "public"),
        ("9.255.255.255", "public"),
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("11.0.0.0", "public"),
        ("100.63.255.255", "public"),
        ("100.64.0.0", "shared"),
        ("100.127.255.255", "shared"),
        ("127.0.0.1", "loopback"),
        ("169.254.1.1", "link_local"),
        ("172.15.255.255", "public"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("172.32.0.0", "public"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "reserved"),
        ("0.0.0.0", "unspecified"),
        ("0.0.0.1", "reserved"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::2", "reserved"),
        ("2606:4700::1111", "public"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("2001:2::1", "reserved"),
        ("64:ff9b::8.8.8.8", "public"),
        ("64:ff9b:1::1", "private"),
        ("fd00::1", "private"),
        ("fe80::1", "link_local"),
        ("ff02::1", "multicast"),
        ("5f00::1", "reserved"),
    ],
)
def test_each_address_is_of_one_kind(text: str, kind: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert kind_of(address) == kind


def test_addresses_are_stored_as_ipv6_whatever_their_spelling() -> None:
    for text in ("1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304", "0:0:0:0:0:FFFF:1.2.3.4"):
        address = parse_address(text)
        assert address is not None
        assert canonical_bytes(address) == ip_address("::ffff:1.2.3.4").packed


def test_an_event_without_address_has_none(plain: AddressBook) -> None:
    (row,), unusable = join(plain, "")
    assert row["ip"] == bytes(16)
    assert (row["ip_kind"], row["ip_status"], row["ip_db_version"]) == ("", "none", "")
    assert unusable == [False]


@pytest.mark.parametrize(
    ("chain", "hops", "client"),
    [
        (["1.1.1.1", "2.2.2.2", "3.3.3.3"], 0, "3.3.3.3"),
        (["1.1.1.1", "2.2.2.2", "3.3.3.3"], 1, "2.2.2.2"),
        (["1.1.1.1", "2.2.2.2", "3.3.3.3"], 2, "1.1.1.1"),
        (["1.1.1.1", "2.2.2.2", "3.3.3.3"], 3, None),
        (["1.1.1.1"], -1, None),
        (["1.1.1.1"], 2**31 - 1, None),
        (["unknown"], 0, None),
        (["1.1.1.1:80"], 0, None),
        (["evil", "2.2.2.2"], 0, "2.2.2.2"),
        (["::ffff:4.4.4.4"], 0, "4.4.4.4"),
    ],
)
def test_the_client_is_the_entry_before_the_trusted_hops(
    plain: AddressBook, chain: list[str], hops: int, client: str | None
) -> None:
    rows, unusable = join(plain, "9.9.9.9", "", "", chains=[chain, chain, []], hops=[hops, hops, hops])
    assert rows[0]["ip"] == ip_address("::ffff:9.9.9.9").packed
    assert rows[1]["ip"] == (ip_address(f"::ffff:{client}").packed if client else bytes(16))
    assert unusable == [False, client is None, False]


def test_without_databases_public_addresses_are_disabled_and_others_are_not_looked_up(plain: AddressBook) -> None:
    rows, _ = join(plain, "8.8.8.8", "10.0.0.1")
    assert [(r["ip_kind"], r["ip_status"]) for r in rows] == [("public", "disabled"), ("private", "not_public")]


def test_places_and_networks_are_joined_with_the_builds_they_come_from(tmp_path: Path) -> None:
    city = write_database(tmp_path / "city.mmdb", {"81.2.69.0/24": CITY, "2a02::/16": CITY})
    networks = write_database(tmp_path / "asn.mmdb", {"81.2.0.0/16": NETWORK})
    databases = AddressDatabases(city, networks, 10)
    rows, _ = join(AddressBook(databases), "81.2.69.142", "81.2.70.1", "9.9.9.9", "2a02::1", "127.0.0.1")
    assert rows[0] | {"ip": b""} == {
        "ip": b"", "ip_kind": "public", "ip_status": "ok", "ip_db_version": databases.version, "geo_country": "GB",
        "geo_region": "England", "geo_city": "London", "geo_lat": 51.5, "geo_lon": -0.125, "geo_tz": "Europe/London",
        "as_number": 20712, "as_org": "Andrews & Arnold",
    }  # fmt: skip
    assert [r["ip_status"] for r in rows] == ["ok", "ok", "not_found", "ok", "not_public"]
    assert [r["geo_country"] for r in rows] == ["GB", "", "", "GB", ""]
    assert databases.version.startswith("city:")
    assert ",asn:" in databases.version
    databases.close()


def test_an_address_is_looked_up_again_after_its_file_changed_and_not_before_it_is_time(tmp_path: Path) -> None:
    clock = Seconds()
    city = write_database(tmp_path / "city.mmdb", {"81.2.69.0/24": CITY})
    databases = AddressDatabases(city, None, 10, clock)
    book = AddressBook(databases)
    assert join(book, "81.2.69.1")[0][0]["geo_country"] == "GB"
    write_database(city, {"81.2.69.0/24": CITY | {"country": {"iso_code": "IE"}}})
    clock.now = 9.9
    assert join(book, "81.2.69.1")[0][0]["geo_country"] == "GB"
    clock.now = 10.0
    assert join(book, "81.2.69.1")[0][0]["geo_country"] == "IE"
    databases.close()


@pytest.mark.parametrize("content", [None, b"", b"not a database", b"\xab\xcd\xefMaxMind.com\xe0"])
def test_a_missing_or_damaged_file_fails_and_heals_when_it_is_replaced(tmp_path: Path, content: bytes | None) -> None:
    clock, city = Seconds(), tmp_path / "city.mmdb"
    if content is not None:
        city.write_bytes(content)
    databases = AddressDatabases(city, None, 10, clock)
    book = AddressBook(databases)
    (row, private), _ = join(book, "81.2.69.1", "10.0.0.1")
    assert (row["ip_status"], row["ip_db_version"], private["ip_status"]) == ("failed", "", "not_public")
    write_database(city, {"81.2.69.0/24": CITY})
    clock.now = 10.0
    assert join(book, "81.2.69.1")[0][0]["ip_status"] == "ok"
    databases.close()


def test_a_file_that_vanishes_or_is_cut_in_place_harms_nothing(tmp_path: Path) -> None:
    clock = Seconds()
    city = write_database(tmp_path / "city.mmdb", {"81.2.69.0/24": CITY, "81.2.70.0/24": CITY})
    databases = AddressDatabases(city, None, 10, clock)
    book = AddressBook(databases)
    assert join(book, "81.2.69.1")[0][0]["ip_status"] == "ok"
    os.truncate(city, 0)
    assert join(book, "81.2.70.1")[0][0]["ip_status"] == "ok"
    city.unlink()
    clock.now = 10.0
    assert join(book, "81.2.70.1")[0][0]["ip_status"] == "failed"
    databases.close()


def test_a_damaged_tree_answers_failed_and_raises_nothing(tmp_path: Path) -> None:
    city = write_database(tmp_path / "city.mmdb", {"81.2.69.0/24": CITY})
    content = bytearray(city.read_bytes())
    data_section = content.index(b"\0" * 16) + 16
    content[data_section : content.rindex(b"\xab\xcd\xefMaxMind.com")] = b"\xff" * (
        content.rindex(b"\xab\xcd\xefMaxMind.com") - data_section
    )
    city.write_bytes(content)
    databases = AddressDatabases(city, None, 10)
    assert join(AddressBook(databases), "81.2.69.1")[0][0]["ip_status"] == "failed"
    databases.close()


def test_an_ipv6_address_is_not_found_in_a_database_of_ipv4(tmp_path: Path) -> None:
    databases = AddressDatabases(write_database(tmp_path / "c.mmdb", {"81.2.69.0/24": CITY}, ip_version=4), None, 10)
    rows, _ = join(AddressBook(databases), "2606:4700::1111", "81.2.69.1")
    assert [r["ip_status"] for r in rows] == ["not_found", "ok"]
    databases.close()


def test_what_is_remembered_is_bounded_and_stays_right(monkeypatch: pytest.MonkeyPatch, plain: AddressBook) -> None:
    monkeypatch.setattr(address_module, "MAX_ADDRESSES", 3)
    for last in range(20):
        (row,), _ = join(plain, f"8.8.8.{last}")
        assert row["ip"] == ip_address(f"::ffff:8.8.8.{last}").packed


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (CITY, ("GB", "England", "London", 51.5, -0.125, "Europe/London")),
        ({"country": {"iso_code": "DE"}, "subdivisions": [{"iso_code": "BE"}]}, ("DE", "BE", "", 0.0, 0.0, "")),
        (
            {
                "country_code": "FR",
                "state1": "IDF",
                "city": "Paris",
                "latitude": "48.8",
                "longitude": 2.3,
                "timezone": "Europe/Paris",
            },
            ("FR", "IDF", "Paris", 48.8, 2.3, "Europe/Paris"),
        ),
        ({"country": "US", "region": "Texas", "city": "Austin"}, ("US", "Texas", "Austin", 0.0, 0.0, "")),
        ({"country": 7, "subdivisions": [], "city": None, "latitude": "x"}, ("", "", "", 0.0, 0.0, "")),
    ],
)
def test_places_are_read_from_all_known_layouts(record: Mapping[str, Any], expected: tuple[object, ...]) -> None:
    place = read_place(record)
    assert (place.country, place.region, place.city, place.lat, place.lon, place.tz) == expected


@pytest.mark.parametrize(
    ("record", "number", "organisation"),
    [
        (NETWORK, 20712, "Andrews & Arnold"),
        ({"asn": "AS13335", "as_name": "Cloudflare"}, 13335, "Cloudflare"),
        ({"asn": "x"}, 0, ""),
        ({"autonomous_system_number": 2**32}, 0, ""),
        ({}, 0, ""),
    ],
)
def test_networks_are_read_from_all_known_layouts(record: Mapping[str, Any], number: int, organisation: str) -> None:
    network = read_network(record)
    assert (network.number, network.organisation) == (number, organisation)
