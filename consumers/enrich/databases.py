"""Address databases in MaxMind's format: opened, watched, and read whatever their layout."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import maxminddb
import structlog

from consumers.enrich.networks import Address

log = structlog.get_logger(__name__)

State = Literal["disabled", "ready", "failed"]
Record = Mapping[str, Any]
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """What a city database says of an address; empty or 0 when it does not say.

    Attributes:
        country: ISO 3166-1 code.
        region: Name of the first subdivision, else its code.
        city: Name in English.
        lat: Latitude, degrees.
        lon: Longitude, degrees.
        tz: IANA name of the time zone.
    """

    country: str = ""
    region: str = ""
    city: str = ""
    lat: float = 0.0
    lon: float = 0.0
    tz: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """What a network database says of an address.

    Attributes:
        number: Autonomous system number, 0 when unknown.
        organisation: Its name.
    """

    number: int = 0
    organisation: str = ""


def read_place(record: Record) -> Place:
    """Read a record of a city or country database.

    Sources: https://dev.maxmind.com/geoip/docs/databases/city-and-country (also DB-IP's layout), the flat layouts of
    https://github.com/sapics/ip-location-db and https://ipinfo.io/developers/database-types.
    """
    country, location = _section(record, "country"), _section(record, "location")
    subdivisions = record.get("subdivisions")
    region = _section({"": subdivisions[0]}, "") if isinstance(subdivisions, list) and subdivisions else {}
    return Place(
        country=_text(country.get("iso_code"), record.get("country_code"), record.get("country")),
        region=_text(_name(region), region.get("iso_code"), record.get("state1"), record.get("region")),
        city=_text(_name(_section(record, "city")), record.get("city")),
        lat=_number(location.get("latitude"), record.get("latitude")),
        lon=_number(location.get("longitude"), record.get("longitude")),
        tz=_text(location.get("time_zone"), record.get("timezone")),
    )


def read_network(record: Record) -> Network:
    """Read a record of a database of autonomous systems."""
    number = record.get("autonomous_system_number")
    if not isinstance(number, int):
        digits = _text(record.get("asn")).removeprefix("AS")
        number = int(digits) if digits.isascii() and digits.isdigit() else 0
    organisation = _text(record.get("autonomous_system_organization"), record.get("as_name"))
    return Network(number if 0 <= number < 1 << 32 else 0, organisation)


def _section(record: Record, key: str) -> Record:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _name(record: Record) -> object:
    return _section(record, "names").get("en")


def _text(*values: object) -> str:
    return next((value for value in values if isinstance(value, str) and value), "")


def _number(*values: object) -> float:
    for value in values:
        if isinstance(value, int | float):
            return float(value)
        # Flat databases write coordinates as text.
        if isinstance(value, str) and value:
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 0.0


class AddressDatabase:
    """One database file that may be replaced at any time.

    The worker reads a private copy: whoever rewrites the file in place can neither tear a read nor, by shortening a
    mapped file, end the process.

    Args:
        name: What it is called in logs and versions.
        path: The file; None switches the database off.
    """

    def __init__(self, name: str, path: Path | None) -> None:
        self.name = name
        self.state: State = "disabled" if path is None else "failed"
        self.version = ""
        self._path = path
        self._reader: maxminddb.Reader | None = None
        self._stamp: _Stamp | None = None
        self._looked = False

    def refresh(self) -> bool:
        """Look whether the file has changed and open it if so.

        Returns:
            Whether answers may differ from now on.
        """
        if self._path is None:
            return False
        stamp = _stamp(self._path)
        if self._looked and stamp == self._stamp:
            return False
        self._looked, self._stamp = True, stamp
        self._open(self._path)
        return True

    def look_up(self, address: Address) -> tuple[State | Literal["not_found"], Record]:
        """Return the record of an address, empty when there is none."""
        if self._reader is None:
            return self.state, {}
        try:
            record = self._reader.get(address)
        except (maxminddb.InvalidDatabaseError, ValueError, OSError):
            # A damaged part of the file, or an IPv6 address in a database of IPv4: this address has no answer.
            return ("not_found" if address.version > self._reader.metadata().ip_version else "failed"), {}
        return ("ready", record) if isinstance(record, dict) else ("not_found", {})

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self, path: Path) -> None:
        self.close()
        try:
            self._reader = _open_copy(path)
            epoch = self._reader.metadata().build_epoch
        except (OSError, maxminddb.InvalidDatabaseError, ValueError) as error:
            self.state, self.version = "failed", ""
            log.warning("address_database_failed", database=self.name, path=str(path), error=str(error))
            return
        self.state, self.version = "ready", f"{self.name}:{epoch}"
        log.info("address_database_opened", database=self.name, path=str(path), build_epoch=epoch)


def _stamp(path: Path) -> _Stamp | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _open_copy(path: Path) -> maxminddb.Reader:
    with tempfile.NamedTemporaryFile(prefix="auditstream-", suffix=".mmdb") as copy:
        with path.open("rb") as source:
            shutil.copyfileobj(source, copy)
        copy.flush()
        # The mapping keeps the copy alive after its name is gone.
        return maxminddb.open_database(os.fspath(copy.name))


class AddressDatabases:
    """The city and the network database, looked at again from time to time.

    Args:
        city: File with places, or None.
        networks: File with autonomous systems, or None.
        reload_s: Seconds between looks at the files.
        clock: Monotonic seconds.
    """

    def __init__(
        self, city: Path | None, networks: Path | None, reload_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.city = AddressDatabase("city", city)
        self.networks = AddressDatabase("asn", networks)
        self._reload_s, self._clock = reload_s, clock
        self._due: float | None = None

    @property
    def version(self) -> str:
        """Builds of the open databases, for example ``city:1764547200,asn:1764547200``."""
        return ",".join(database.version for database in (self.city, self.networks) if database.version)

    def refresh(self) -> bool:
        """Look at the files if it is time to.

        Returns:
            Whether answers may differ from now on.
        """
        now = self._clock()
        if self._due is not None and now < self._due:
            return False
        self._due = now + self._reload_s
        # Both are looked at in any case: no short-circuit.
        return any([self.city.refresh(), self.networks.refresh()])

    def close(self) -> None:
        """Close both files. Idempotent."""
        self.city.close()
        self.networks.close()
