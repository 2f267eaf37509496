"""The orders in which events are read, and how a cursor continues them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any
from uuid import UUID

from query.errors import InvalidCursor
from query.parameters import Parameters
from query.question import SortName


@dataclass(frozen=True, slots=True)
class Key:
    """One column of an order.

    Attributes:
        column: The column.
        clickhouse_type: Type that a value of it is bound as; a moment is bound as microseconds.
    """

    column: str
    clickhouse_type: str

    @property
    def selected(self) -> str:
        """The column as a cursor keeps it, as text that reads back exactly."""
        if self.clickhouse_type == "Int64":
            return f"toString(toInt64({self.column}))"
        if self.clickhouse_type == "Moment":
            return f"toString(toUnixTimestamp64Micro({self.column}))"
        return f"toString({self.column})"

    def bound(self, text: str, parameters: Parameters) -> str:
        """Bind the value of a cursor.

        Raises:
            ValueError: The text is no value of the column.
        """
        match self.clickhouse_type:
            case "Moment":
                return parameters.moment_of_micros(_int64(text))
            case "Int64":
                return parameters.bind(_int64(text), "Int64")
            case "UUID":
                return parameters.bind(str(UUID(text)), "UUID")
            case "IPv6":
                return parameters.bind(str(IPv6Address(text)), "IPv6")
        return parameters.text(text)


#: A delivery is stored under one place in Kafka, once: with it no two rows are equal in any order, even when a service
#: sent the same event twice.
_PLACE = (Key("kafka_topic_id", "UUID"), Key("kafka_partition", "Int64"), Key("kafka_offset", "Int64"))
#: Deliveries of one event are equal in all keys but their place, and so stand next to each other in every order.
_EVENT = (Key("occurred_at", "Moment"), Key("event_id", "UUID"), Key("tenant_id", "String"))
_LAST = (*_EVENT, *_PLACE)

ORDERS: Mapping[SortName, tuple[Key, ...]] = {
    "time": _LAST,
    "user": (Key("actor_name", "String"), Key("actor_id", "String"), *_LAST),
    "ip": (Key("ip", "IPv6"), *_LAST),
    "object": (
        Key("target_type", "String"),
        Key("target_name", "String"),
        Key("target_id", "String"),
        *_LAST,
    ),
}


@dataclass(frozen=True, slots=True)
class Order:
    """One order in one direction."""

    keys: tuple[Key, ...]
    descending: bool

    @classmethod
    def of(cls, sort: SortName, *, descending: bool) -> Order:
        """Return the order of a name."""
        return cls(ORDERS[sort], descending)

    def order_by(self) -> str:
        """Return the ORDER BY list."""
        direction = "DESC" if self.descending else "ASC"
        return ", ".join(f"{key.column} {direction}" for key in self.keys)

    def selected(self) -> str:
        """Return what is selected so that a cursor can be made of a row, one array of texts called ``cursor_keys``."""
        return f"[{', '.join(key.selected for key in self.keys)}] AS cursor_keys"

    def after(self, values: Sequence[str], parameters: Parameters, *, included: bool = False) -> str:
        """Return the condition that a row comes after a place in the order.

        Args:
            values: The keys of a row, or all but those of its place in Kafka: then after all deliveries of its event.
            parameters: Where they are bound.
            included: Rows that equal the values come too.

        Raises:
            InvalidCursor: The values do not fit the order.
        """
        whole = len(values) == len(self.keys)
        keys = self.keys if whole else self.keys[: -len(_PLACE)]
        try:
            bound = [key.bound(v, parameters) for key, v in zip(keys, values, strict=True)]
        except ValueError:
            raise InvalidCursor("the cursor does not fit the sort; leave it out to start again") from None
        sign = "<" if self.descending else ">"
        columns = ", ".join(key.column for key in keys)
        # The tuple alone would be right; the plain comparison of its first column is what an index can use.
        strict = f"{sign}=" if included else sign
        return f"({keys[0].column} {sign}= {bound[0]} AND ({columns}) {strict} ({', '.join(bound)}))"


def cursor_keys(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of a row that was selected with ``Order.selected``."""
    return tuple(raw["cursor_keys"])


def event_keys(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of such a row that all deliveries of its event share."""
    return tuple(raw["cursor_keys"][: -len(_PLACE)])


def identity(raw: Mapping[str, Any]) -> tuple[str, int, str]:
    """Return tenant, time in microseconds and event id of such a row."""
    moment, event_id, tenant = event_keys(raw)[-len(_EVENT) :]
    return tenant, int(moment), event_id


def place(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return topic id, partition and offset of such a row, as text."""
    return cursor_keys(raw)[-len(_PLACE) :]


def _int64(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError("beyond 64 bits")
    return value
