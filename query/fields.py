"""What a read returns: which fields a row has, how they are asked for, and their values in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from ipaddress import IPv6Address
from typing import Any
from uuid import UUID

from query.errors import InvalidFilter, nearest
from schemas.columns import DEAD_LETTER_BINARY, DEAD_LETTER_COLUMNS, INGESTED_AT, Column, event_columns, payload_columns

#: A row as a read returns it: moments with zone UTC, ids and digests as text, addresses in their usual form (None
#: for none), Nested groups as lists of objects.
Row = dict[str, Any]

_NO_ADDRESS = IPv6Address("::")

INGEST_BATCH_FIELDS = (
    "kafka_topic",
    "kafka_topic_id",
    "kafka_partition",
    "first_offset",
    "last_offset",
    "stored",
    "dead_lettered",
    "filtered",
    "skipped",
    "schema_ids",
    "digests.day",
    "digests.rows",
    "digests.sha256",
    "previous_sha256",
    "sha256",
    "ingested_at",
)


#: Fields of an event that no column holds -> what they say; see ``query.deliveries``.
READ_FIELDS: Mapping[str, str] = {
    "deliveries": "How often it arrived; in arrivals, for the how manieth time.",
    "conflict": "Whether its service sent other content under the same id, time and tenant.",
}


def _grouped(columns: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for name in columns:
        field = name.partition(".")[0]
        groups[field] = (*groups.get(field, ()), name)
    return groups


def _names(columns: Iterable[Column]) -> list[str]:
    return [c.name for c in (*columns, INGESTED_AT)]


@cache
def event_fields() -> Mapping[str, tuple[str, ...]]:
    """Return the fields of an event in table order, each with its columns; a Nested group is one field."""
    return _grouped(_names(event_columns()))


@cache
def shown_fields() -> Mapping[str, tuple[str, ...]]:
    """Return the fields of an event as reads show it: those of its row, and ``READ_FIELDS``, which have no column."""
    return {**event_fields(), **dict.fromkeys(READ_FIELDS, ())}


@cache
def payload_fields() -> Mapping[str, tuple[str, ...]]:
    """Return the fields of ``audit_payloads``, each with its columns."""
    return _grouped(_names(payload_columns()))


@cache
def dead_letter_fields() -> Mapping[str, tuple[str, ...]]:
    """Return the fields of ``dead_letters``, each with its columns."""
    return _grouped(_names(DEAD_LETTER_COLUMNS))


@cache
def ingest_batch_fields() -> Mapping[str, tuple[str, ...]]:
    """Return the fields of ``ingest_batches``, each with its columns."""
    return _grouped(INGEST_BATCH_FIELDS)


def chosen(fields: Mapping[str, tuple[str, ...]], names: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that are asked for, each once, all when none is named.

    Raises:
        InvalidFilter: There is no field of a name; with the nearest one.
    """
    for name in names:
        if name not in fields:
            suggestion = nearest(name, fields)
            raise InvalidFilter(name, "there is no such column", "the name of a column", suggestion=suggestion)
    return tuple(dict.fromkeys(names)) or tuple(fields)


def select_list(fields: Mapping[str, tuple[str, ...]], names: Sequence[str]) -> str:
    """Return the SELECT list of fields known to exist, never an empty one."""
    return ", ".join(_selected(column) for name in names for column in fields[name]) or "1"


def _selected(column: str) -> str:
    # The client shows bytes that are no UTF-8 as something else; hexadecimal digits are the same everywhere.
    if column == "headers.value":
        return f"arrayMap(v -> hex(v), `{column}`) AS `{column}`"
    return f"hex(`{column}`) AS `{column}`" if column in DEAD_LETTER_BINARY else f"`{column}`"


def to_row(raw: Mapping[str, Any], names: Sequence[str]) -> Row:
    """Return the values of a result as documented at ``Row``.

    Args:
        raw: Column to value as the client returns it; columns of no field are left out.
        names: Fields of the row, in order.
    """
    return to_rows([raw], names)[0]


def to_rows(raws: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Row]:
    """Return the rows of one result, as ``to_row`` does each of them; what to do with a column is settled once."""
    if not raws:
        return []
    groups = _grouped(raws[0])
    columns = [_field(raws, name, groups[name]) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _field(raws: Sequence[Mapping[str, Any]], name: str, columns: tuple[str, ...]) -> Sequence[object]:
    """Return the values of a field, row by row."""
    if columns == (name,):
        return _values([raw[name] for raw in raws], name)
    parts = [column.partition(".")[2] for column in columns]
    lists = ([_values(raw[column], column) for column in columns] for raw in raws)
    return [[dict(zip(parts, values, strict=True)) for values in zip(*some, strict=True)] for some in lists]


def _values(values: Sequence[Any], column: str) -> Sequence[object]:
    if column in DEAD_LETTER_BINARY:
        return [bytes.fromhex(value) for value in values]
    # Asked for a whole column at once: of most, no value is told in another way.
    return values if _TEXT_OF.keys().isdisjoint(map(type, values)) else [_told(value) for value in values]


def _told(value: object) -> object:
    convert = _TEXT_OF.get(type(value))
    return value if convert is None else convert(value)


@lru_cache(maxsize=10_000)
def address_text(address: IPv6Address) -> str | None:
    """Return an address in its usual form, version 4 as ``a.b.c.d``; None for the one that stands for none."""
    if address == _NO_ADDRESS:
        return None
    return str(address.ipv4_mapped or address)


#: Types that a read tells as text. The client returns each of them as exactly this type.
_TEXT_OF: Mapping[type, Callable[[Any], str | None]] = {IPv6Address: address_text, UUID: str, bytes: bytes.hex}
