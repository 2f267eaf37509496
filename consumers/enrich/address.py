"""Where a client was: its address, what kind it is, its place and its network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from consumers.arrays import Bools, dictionary_array, fixed_binary, lengths, list_offsets, number_array
from consumers.batch import Int32s, Int64s
from consumers.coded import Coded, CodeTable, Grown, Words
from consumers.enrich.databases import AddressDatabases, Network, Place, read_network, read_place
from consumers.enrich.networks import Address, canonical_bytes, kind_of, parse_address

#: Distinct addresses remembered at most, about 200 bytes each; then everything is looked up anew.
MAX_ADDRESSES = 200_000

_WORDS = ("ip_kind", "geo_country", "geo_region", "geo_city", "geo_tz", "as_org", "ip_status", "ip_db_version")


class _Facts:
    """What is known of each address, by number; number 0 is "no address"."""

    def __init__(self) -> None:
        self.words = {name: Words() for name in _WORDS}
        self._codes = {name: Grown(np.int32) for name in _WORDS}
        self._bytes = Grown(np.uint8, 16)
        self._lat, self._lon, self._number = Grown(np.float32), Grown(np.float32), Grown(np.uint32)
        self.add(bytes(16), "", "none")

    def __len__(self) -> int:
        return len(self._number)

    def add(
        self,
        packed: bytes,
        kind: str,
        status: str,
        *,
        place: Place = Place(),  # noqa: B008 - frozen
        network: Network = Network(),  # noqa: B008 - frozen
        version: str = "",
    ) -> int:
        texts = (kind, place.country, place.region, place.city, place.tz, network.organisation, status, version)
        for name, text in zip(_WORDS, texts, strict=True):
            self._codes[name].append(self.words[name].code(text))
        self._bytes.append(list(packed))
        self._lat.append(place.lat)
        self._lon.append(place.lon)
        self._number.append(network.number)
        return len(self) - 1

    def columns(self, numbers: Int32s) -> dict[str, pa.Array]:
        columns = {name: dictionary_array(self._codes[name].view[numbers], self.words[name].array) for name in _WORDS}
        return columns | {
            "ip": fixed_binary(self._bytes.view[numbers]),
            "geo_lat": number_array(self._lat.view[numbers], pa.float32()),
            "geo_lon": number_array(self._lon.view[numbers], pa.float32()),
            "as_number": number_array(self._number.view[numbers], pa.uint32()),
        }


class AddressBook:
    """Joins the client address and what the databases say of it.

    Not thread-safe. Never raises because of a database: what could not be looked up says so in ``ip_status``.

    Args:
        databases: Where places and networks come from.
    """

    def __init__(self, databases: AddressDatabases) -> None:
        self._databases = databases
        self._table = CodeTable(self._number)
        self._forget()

    def join(self, ip: Coded, chain: pa.ListArray, trusted_hops: pa.Int32Array) -> tuple[dict[str, pa.Array], Bools]:
        """Return the columns ``ip``, ``ip_*``, ``geo_*`` and ``as_*``, and where the forwarded chain was of no use.

        The client is ``ip``, else the entry of the chain before the trusted hops at its end.

        Args:
            ip: Client address as text, valid or empty; n rows.
            chain: Forwarded addresses, client first; n rows.
            trusted_hops: How many of the last entries are the platform's own proxies; n rows.
        """
        if self._databases.refresh() or len(self._numbers) > MAX_ADDRESSES:
            self._forget()
        numbers = self._table.rows(ip)
        unusable = np.zeros(len(numbers), np.bool_)
        forwarded = np.flatnonzero((numbers == 0) & (lengths(chain) > 0))
        if forwarded.size:
            numbers[forwarded], unusable[forwarded] = self._from_chain(chain, trusted_hops, forwarded)
        return self._facts.columns(numbers), unusable

    def _from_chain(self, chain: pa.ListArray, trusted_hops: pa.Array, rows: Int64s) -> tuple[Int32s, Bools]:
        offsets = list_offsets(chain).astype(np.int64)
        hops = np.asarray(trusted_hops)[rows].astype(np.int64)
        picks = offsets[rows + 1] - 1 - hops
        # More hops than entries: there is no client in the chain. Fewer than none: the event is wrong about itself.
        inside = (hops >= 0) & (picks >= offsets[rows])
        texts = chain.values.take(pa.array(np.where(inside, picks, offsets[rows]))).to_pylist()
        numbers = np.fromiter(
            (self._number(t) if ok else 0 for t, ok in zip(texts, inside, strict=True)), np.int32, len(rows)
        )
        return numbers, numbers == 0

    def _forget(self) -> None:
        self._facts, self._numbers = _Facts(), {"": 0}
        self._table.clear()

    def _number(self, text: str) -> int:
        number = self._numbers.get(text)
        if number is None:
            address = parse_address(text)
            number = self._numbers[text] = 0 if address is None else self._look_up(address)
        return number

    def _look_up(self, address: Address) -> int:
        kind, packed = kind_of(address), canonical_bytes(address)
        if kind != "public":
            return self._facts.add(packed, kind, "not_public")
        place_state, place = self._databases.city.look_up(address)
        network_state, network = self._databases.networks.look_up(address)
        status = _status(place_state, network_state)
        version = self._databases.version if status in {"ok", "not_found"} else ""
        return self._facts.add(
            packed, kind, status, place=read_place(place), network=read_network(network), version=version
        )


def _status(*states: str) -> str:
    """Sum up both databases: any answer is ok, then a failure weighs most."""
    return next((status for state, status in _STATUSES.items() if state in states), "disabled")


_STATUSES: Mapping[str, str] = {"ready": "ok", "failed": "failed", "not_found": "not_found"}
