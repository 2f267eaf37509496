"""Which columns a reader schema becomes, and how they hang together.

Every scalar is one column. Rows are counted per *level*: level 0 has a row per message, every list and map has a
level of its own with a row per item. A value that is never written is zero, which reads as ``""``, 0, False, the
enum's entry 0 or an empty list: a record that is absent costs nothing.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum as PyEnum
from enum import auto

import pyarrow as pa

from consumers.decode.errors import SchemaUnsupported
from consumers.decode.schema import NULL, Array, AvroType, Enum, Fixed, Map, Primitive, Record, Union

_ARROW: dict[tuple[str, str], pa.DataType] = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    ("long", "timestamp-millis"): pa.timestamp("ms", tz="UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", tz="UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("ms"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
    ("boolean", ""): pa.bool_(),
    ("int", ""): pa.int32(),
    ("long", ""): pa.int64(),
    ("float", ""): pa.float32(),
    ("double", ""): pa.float64(),
    ("string", ""): pa.string(),
    ("bytes", ""): pa.binary(),
}
_WIDTHS = {"boolean": 1, "int": 4, "float": 4, "long": 8, "double": 8}


class Kind(PyEnum):
    """How a column is stored while decoding."""

    VALUES = auto()  #: a constant number of bytes per row
    TEXT = auto()  #: bytes and offsets
    WORDS = auto()  #: codes into a dictionary that outlives the batch
    LIST = auto()  #: offsets into another level


@dataclass(frozen=True, slots=True)
class Column:
    """One column while decoding.

    Attributes:
        index: Position among the columns.
        path: Dotted path in the reader schema.
        kind: How it is stored.
        level: The level whose rows it has.
        arrow: Arrow type of its values; of the codes for an enum.
        nullable: Whether nulls are kept apart from zeros.
        width_bytes: Bytes per row of VALUES.
        symbols: Symbols of an enum, else empty.
        items_level: Level of the items of a LIST, else -1.
    """

    index: int
    path: str
    kind: Kind
    level: int
    arrow: pa.DataType
    nullable: bool = False
    width_bytes: int = 0
    symbols: tuple[str, ...] = ()
    items_level: int = -1


@dataclass(frozen=True, slots=True)
class Node:
    """A type of the reader schema and where its values go.

    Attributes:
        kind: The type, without the union that makes it nullable.
        nullable: Whether null may stand in its place.
        level: The level that its values are rows of.
        column: Column of a scalar, list or map; for a nullable record the one that tells whether it is present.
        parts: Nodes of a record's fields in order, the item of an array, or key and value of a map.
    """

    kind: AvroType
    nullable: bool
    level: int
    column: Column | None = None
    parts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """How an array of the result is put together: a column, or a list or map column around other shapes."""

    column: Column
    parts: tuple[Shape, ...] = ()

    def inside(self, lists: tuple[Column, ...]) -> Shape:
        """Wrap the shape into lists, given from the outermost to the innermost."""
        shape = self
        for column in reversed(lists):
            shape = Shape(column, (shape,))
        return shape


@dataclass(slots=True)
class Layout:
    """The columns of a reader schema.

    Attributes:
        root: Node of the outermost record.
        columns: All columns, by index.
        levels: Number of levels.
        outputs: Path -> how the array under it is put together, in schema order.
    """

    root: Node
    columns: list[Column] = field(default_factory=list)
    levels: int = 1
    outputs: dict[str, Shape] = field(default_factory=dict)

    @property
    def texts(self) -> list[Column]:
        """The TEXT columns; the counter of used bytes of the k-th follows the row counters of the levels."""
        return [c for c in self.columns if c.kind is Kind.TEXT]


def lay_out(schema: Record, dictionary_columns: AbstractSet[str]) -> Layout:
    """Plan the columns of a reader schema.

    Args:
        schema: The reader schema.
        dictionary_columns: Paths of the string columns that are dictionary-encoded.

    Raises:
        SchemaUnsupported: A part of it has no column form; the place is named.
        ValueError: A path of ``dictionary_columns`` is not a string column.
    """
    planner = _Planner(dictionary_columns)
    layout = planner.layout
    layout.root = planner.node(schema, "", 0, ())
    wrong = set(dictionary_columns) - {c.path for c in layout.columns if c.kind is Kind.WORDS}
    if wrong:
        raise ValueError(f"not string columns of the reader schema: {', '.join(sorted(wrong))}")
    return layout


class _Planner:
    def __init__(self, dictionary_columns: AbstractSet[str]) -> None:
        self._dictionary_columns = dictionary_columns
        self.layout = Layout(Node(NULL, nullable=True, level=0))

    def node(self, kind: AvroType, path: str, level: int, lists: tuple[Column, ...]) -> Node:
        kind, nullable = _without_null(kind, path)
        match kind:
            case Record():
                return self._record(kind, path, level, lists, nullable=nullable)
            case Array():
                return self._array(kind, path, level, lists, nullable=nullable)
            case Map():
                return self._map(kind, path, level, lists, nullable=nullable)
            case Primitive("null"):
                return Node(kind, nullable=True, level=level)
        column = self._scalar(kind, path, level, nullable=nullable)
        self._output(path, Shape(column), lists)
        return Node(kind, nullable, level, column)

    def _record(self, kind: Record, path: str, level: int, lists: tuple[Column, ...], *, nullable: bool) -> Node:
        if kind.recursive:
            raise SchemaUnsupported(path or kind.names.last, "a record that holds itself has no column form")
        present = None
        if nullable:
            present = self._column(path, Kind.VALUES, level, pa.bool_(), width_bytes=1)
            self._output(path, Shape(present), lists)
        parts = (self.node(f.type, f"{path}.{f.name}".lstrip("."), level, lists) for f in kind.fields)
        return Node(kind, nullable, level, present, tuple(parts))

    def _list(self, path: str, level: int) -> Column:
        self.layout.levels += 1
        return self._column(path, Kind.LIST, level, pa.int32(), items_level=self.layout.levels - 1)

    def _array(self, kind: Array, path: str, level: int, lists: tuple[Column, ...], *, nullable: bool) -> Node:
        column = self._list(path, level)
        item = self.node(kind.items, path, column.items_level, (*lists, column))
        return Node(kind, nullable, level, column, (item,))

    def _map(self, kind: Map, path: str, level: int, lists: tuple[Column, ...], *, nullable: bool) -> Node:
        column = self._list(path, level)
        key = self._column(path, Kind.TEXT, column.items_level, pa.string())
        outer, self.layout.outputs = self.layout.outputs, {}
        value = self.node(kind.values, path, column.items_level, ())
        inner, self.layout.outputs = self.layout.outputs, outer
        if _holds_record(kind.values) or len(inner) != 1:
            raise SchemaUnsupported(path, "the values of a map must be scalars, arrays or maps of them")
        self._output(path, Shape(column, (Shape(key), inner[path])), lists)
        key_node = Node(Primitive("string"), nullable=False, level=column.items_level, column=key)
        return Node(kind, nullable, level, column, (key_node, value))

    def _scalar(self, kind: AvroType, path: str, level: int, *, nullable: bool) -> Column:
        match kind:
            case Primitive("string", _) if path in self._dictionary_columns:
                return self._column(path, Kind.WORDS, level, pa.int32(), nullable=nullable)
            case Primitive("string" | "bytes" as name, _):
                return self._column(path, Kind.TEXT, level, _ARROW[name, ""], nullable=nullable)
            case Primitive(name, logical):
                arrow, width = _ARROW.get((name, logical), _ARROW[name, ""]), _WIDTHS[name]
                return self._column(path, Kind.VALUES, level, arrow, nullable=nullable, width_bytes=width)
            case Enum(_, symbols):
                return self._column(
                    path, Kind.VALUES, level, pa.int32(), nullable=nullable, width_bytes=4, symbols=symbols
                )
            case Fixed(_, size):
                return self._column(path, Kind.VALUES, level, pa.binary(size), nullable=nullable, width_bytes=size)
        raise SchemaUnsupported(path, f"{type(kind).__name__} has no column form")

    def _column(
        self,
        path: str,
        kind: Kind,
        level: int,
        arrow: pa.DataType,
        *,
        nullable: bool = False,
        width_bytes: int = 0,
        symbols: tuple[str, ...] = (),
        items_level: int = -1,
    ) -> Column:
        index = len(self.layout.columns)
        column = Column(index, path, kind, level, arrow, nullable, width_bytes, symbols, items_level)
        self.layout.columns.append(column)
        return column

    def _output(self, path: str, shape: Shape, lists: tuple[Column, ...]) -> None:
        self.layout.outputs[path] = shape.inside(lists)


def _without_null(kind: AvroType, path: str) -> tuple[AvroType, bool]:
    if not isinstance(kind, Union):
        return kind, False
    others = tuple(b for b in kind.branches if b != NULL)
    if len(others) > 1:
        raise SchemaUnsupported(path, "a union of several types has no column form; only null and one other type")
    return (others[0] if others else NULL), len(others) < len(kind.branches)


def _holds_record(kind: AvroType) -> bool:
    match kind:
        case Record():
            return True
        case Array(inner) | Map(inner):
            return _holds_record(inner)
        case Union(branches):
            return any(_holds_record(b) for b in branches)
    return False
