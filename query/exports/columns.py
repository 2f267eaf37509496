"""The columns of an export: names, headings, types and where their values come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

import pyarrow as pa

from query.fields import Row, chosen, event_fields
from schemas.columns import INGESTED_AT, Column, event_columns

Kind: TypeAlias = Literal["moment", "text", "whole", "real", "flag", "nested"]

#: Column of the screen that holds the time of the event.
_TIME = "time"


@dataclass(frozen=True, slots=True)
class Derived:
    """A column that is made of several fields, for example the title.

    Attributes:
        fields: Fields of an event that it needs.
        value: Makes its text.
        doc: One sentence for analysts.
    """

    fields: tuple[str, ...]
    value: Callable[[Row], str]
    doc: str


#: The title for readers that make it themselves, as ``query.access.ScopedReader`` does: with what it masks left out.
SHOWN_TITLE = Derived(("title",), lambda row: str(row["title"]), "What was done, in words.")


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """One column of an export.

    Attributes:
        name: Its name, the key in formats that have keys.
        kind: Which values it holds besides None; ``nested`` is a list or a map.
        arrow: Type of its values in Parquet.
        doc: One sentence for analysts.
        fields: Fields of an event that it needs.
        value: Takes its value out of a row.
        zone: Zone in which its moments are written.
    """

    name: str
    kind: Kind
    arrow: pa.DataType
    doc: str
    fields: tuple[str, ...]
    value: Callable[[Row], object]
    zone: ZoneInfo

    @property
    def heading(self) -> str:
        """The name, with the zone where it holds times."""
        return f"{self.name} ({self.zone.key})" if self.kind == "moment" else self.name


def columns_of(names: Sequence[str], zone: ZoneInfo, derived: Mapping[str, Derived]) -> tuple[ExportColumn, ...]:
    """Return the columns of an export.

    Args:
        names: Fields of an event, ``time``, and derived columns; empty for the derived ``title``, where there is one,
            and every field.
        zone: Zone of all times.
        derived: Columns made of several fields, by name.

    Raises:
        InvalidFilter: There is no column of a name; with the nearest one.
    """
    known = {**event_fields(), _TIME: ("occurred_at",), **{name: (name,) for name in derived}}
    asked = names or [*(name for name in ("title",) if name in derived), *event_fields()]
    return tuple(_column(name, zone, derived) for name in chosen(known, asked))


def _column(name: str, zone: ZoneInfo, derived: Mapping[str, Derived]) -> ExportColumn:
    if name in derived:
        made = derived[name]
        return ExportColumn(name, "text", pa.string(), made.doc, made.fields, made.value, zone)
    field = "occurred_at" if name == _TIME else name
    columns = [_stored()[c] for c in event_fields()[field]]
    kind = _kind(columns)
    doc = columns[0].doc if len(columns) == 1 else f"List of {', '.join(c.name.partition('.')[2] for c in columns)}."
    return ExportColumn(name, kind, _arrow(columns, kind, zone), doc, (field,), lambda row: row[field], zone)


@cache
def _stored() -> Mapping[str, Column]:
    return {c.name: c for c in (*event_columns(), INGESTED_AT)}


def _kind(columns: Sequence[Column]) -> Kind:
    stored = columns[0].clickhouse_type.removeprefix("Nullable(")
    if stored.startswith(("Array", "Map")):
        return "nested"
    if stored.startswith("DateTime64"):
        return "moment"
    if stored.startswith("Float"):
        return "real"
    if stored.startswith("Bool"):
        return "flag"
    return "whole" if stored.startswith(("Int", "UInt")) else "text"


def _arrow(columns: Sequence[Column], kind: Kind, zone: ZoneInfo) -> pa.DataType:
    if kind == "moment":
        return pa.timestamp("us", tz=zone.key)
    if kind == "text":
        return pa.string()
    if columns[0].name.partition(".")[1]:
        return pa.list_(pa.struct([(c.name.partition(".")[2], c.arrow.value_type) for c in columns]))
    arrow: pa.DataType = columns[0].arrow
    return arrow
