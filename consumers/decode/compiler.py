"""From a writer schema and the planned columns to a program, by the rules of schema resolution.

Source: Avro 1.12 specification, "Schema Resolution", https://avro.apache.org/docs/1.12.0/specification/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from consumers.decode import opcodes as op
from consumers.decode.assembler import Assembler, Mark
from consumers.decode.errors import DecodeError, SchemaIncompatible, SchemaUnsupported
from consumers.decode.layout import Column, Kind, Layout, Node
from consumers.decode.literal import encode, is_zero
from consumers.decode.schema import (
    NULL,
    Array,
    AvroType,
    Enum,
    Field,
    Fixed,
    Map,
    Primitive,
    Record,
    Union,
    takes_no_bytes,
)

#: Writer and reader primitive -> operation; promotions included.
_PRIMITIVES = {
    ("boolean", "boolean"): op.BOOLEAN,
    ("int", "int"): op.INT32,
    ("int", "long"): op.INT64,
    ("long", "long"): op.INT64,
    ("int", "float"): op.SINGLE_OF_INT,
    ("long", "float"): op.SINGLE_OF_INT,
    ("int", "double"): op.DOUBLE_OF_INT,
    ("long", "double"): op.DOUBLE_OF_INT,
    ("float", "float"): op.SINGLE,
    ("double", "double"): op.DOUBLE,
    ("float", "double"): op.DOUBLE_OF_SINGLE,
}
_TEXTS = frozenset({"string", "bytes"})
_SKIPPED_BYTES = {"boolean": 1, "float": 4, "double": 8}
#: Logical types that give the number behind them a scale; one may not stand in for another.
_SCALED = ("date", "time-", "timestamp-", "local-timestamp-", "decimal", "duration")


class Compiler:
    """Compiles writer schemas into one assembler, all for the same reader."""

    def __init__(self, assembler: Assembler, layout: Layout) -> None:
        self._assembler = assembler
        self._layout = layout
        self._counters = {c.index: layout.levels + k for k, c in enumerate(layout.texts)}
        self._calls: dict[int, tuple[Record, list[int]]] = {}

    def compile(self, writer: Record) -> int:
        """Compile one writer schema and return where its program starts.

        Raises:
            SchemaIncompatible: The reader schema cannot take what it writes.
            SchemaUnsupported: It needs something that the decoder does not do.
        """
        start, self._calls = self._assembler.begin(), {}
        try:
            self._read(writer, self._layout.root, writer.names.last)
            self._assembler.emit(op.END)
            self._subroutines()
        except (SchemaIncompatible, SchemaUnsupported):
            self._assembler.rewind(start)
            raise
        return start.code

    def _read(self, writer: AvroType, node: Node, place: str) -> None:
        if isinstance(writer, Union):
            self._read_union(writer, node, place)
        elif writer == NULL:
            if not node.nullable:
                raise SchemaIncompatible(place, "null is written, and the reader does not take it")
        else:
            self._mark(node)
            self._value(writer, node, place)

    def _mark(self, node: Node) -> None:
        if node.nullable and node.column is not None and not isinstance(node.kind, Array | Map):
            role = op.VALUES if isinstance(node.kind, Record) else op.VALID
            self._assembler.emit(op.MARK, op.slot_of(node.column.index, role), node.level)

    def _value(self, writer: AvroType, node: Node, place: str) -> None:
        match writer, node.kind:
            case Record(), Record() if node.kind.names.reads(writer.names):
                self._record(writer, node.kind, node, place)
            case Array(items), Array():
                self._items(items, node, place)
            case Map(values), Map():
                self._entries(values, node, place)
            case Enum(), Enum() if node.kind.names.reads(writer.names):
                self._enum(writer, node.kind, _column(node))
            case Fixed(), Fixed() if node.kind.names.reads(writer.names) and node.kind.size == writer.size:
                self._assembler.emit(op.FIXED, *_target(node), writer.size)
            case Primitive(), Primitive():
                self._primitive(writer, node.kind, node, place)
            case _:
                raise SchemaIncompatible(place, f"{_name(writer)} is written, the reader expects {_name(node.kind)}")

    def _primitive(self, writer: Primitive, reader: Primitive, node: Node, place: str) -> None:
        if writer.logical != reader.logical and _scaled(writer) and _scaled(reader):
            raise SchemaIncompatible(place, f"{writer.logical} is written, the reader expects {reader.logical}")
        operation = _PRIMITIVES.get((writer.name, reader.name))
        if operation is not None:
            self._assembler.emit(operation, *_target(node), int(writer.name == "int"))
        elif {writer.name, reader.name} <= _TEXTS:
            self._text(_column(node), checked="string" in {writer.name, reader.name})
        else:
            raise SchemaIncompatible(place, f"{writer.name} is written, the reader expects {reader.name}")

    def _text(self, column: Column, *, checked: bool) -> None:
        slot = op.slot_of(column.index, op.VALUES)
        if column.kind is Kind.WORDS:
            self._assembler.emit(op.WORD, slot, column.level, column.index)
        else:
            self._assembler.emit(op.TEXT, slot, column.level, self._counters[column.index], column.index, int(checked))

    def _enum(self, writer: Enum, reader: Enum, column: Column) -> None:
        # Code 0 is the absent value, symbols follow.
        codes = {symbol: code for code, symbol in enumerate(reader.symbols, 1)}
        default = codes[reader.default] if reader.default is not None else -1
        table = self._assembler.table([codes.get(symbol, default) for symbol in writer.symbols])
        slot = op.slot_of(column.index, op.VALUES)
        self._assembler.emit(op.ENUM, slot, column.level, len(writer.symbols), table)

    def _record(self, writer: Record, reader: Record, node: Node, place: str) -> None:
        nodes = {f.name: (f, part) for f, part in zip(reader.fields, node.parts, strict=True)}
        missing = dict(nodes)
        for written in writer.fields:
            name = _reader_name(written, reader)
            where = f"{place}.{written.name}"
            if name is None:
                self._skip(written.type, where)
            elif missing.pop(name, None) is None:
                raise SchemaIncompatible(where, f"two written fields stand for {name!r}")
            else:
                self._read(written.type, nodes[name][1], where)
        for field, part in missing.values():
            self._default(field, part, f"{place}.{field.name}")

    def _default(self, field: Field, node: Node, place: str) -> None:
        if not field.has_default:
            raise SchemaIncompatible(place, "it is not written, and the reader has no default")
        data = encode(field.type, field.default, place)
        if not is_zero(field.type, field.default):
            self._assembler.emit(op.LITERAL, self._assembler.literal(data), len(data))
            self._read(field.type, node, place)
            self._assembler.emit(op.RESUME)

    def _items(self, items: AvroType, node: Node, place: str) -> None:
        self._refuse_empty(items, place)
        self._loop(_column(node), lambda: self._read(items, node.parts[0], place))

    def _entries(self, values: AvroType, node: Node, place: str) -> None:
        key, value = node.parts

        def body() -> None:
            self._text(_column(key), checked=True)
            self._read(values, value, place)

        self._loop(_column(node), body)

    def _refuse_empty(self, items: AvroType, place: str) -> None:
        # A few bytes could announce 2^63 of them, and each would become a row.
        if takes_no_bytes(items):
            raise SchemaUnsupported(place, "an array whose items take no bytes can be skipped, not read")

    def _loop(self, column: Column | None, body: Callable[[], None]) -> None:
        lists = (column.index, column.level, column.items_level) if column else (-1, -1, -1)
        enter = self._assembler.emit(op.ENTER, *lists)
        block = self._assembler.emit(op.BLOCK, *lists)
        body()
        self._assembler.emit(op.NEXT, block, lists[2])
        for index in (enter, block):
            self._assembler.patch(index, 3, self._assembler.position)

    def _read_union(self, writer: Union, node: Node, place: str) -> None:
        problems: list[SchemaIncompatible] = []

        def branch(kind: AvroType) -> None:
            before = self._assembler.mark()
            try:
                self._read(kind, node, place)
            except SchemaIncompatible as problem:
                # Only a message that holds this branch cannot be resolved; that is for the message to say.
                self._rewind(before)
                self._assembler.emit(op.FAIL, DecodeError.union_branch)
                problems.append(problem)

        self._branches(writer.branches, branch)
        if len(problems) == len(writer.branches):
            raise problems[-1]

    def _rewind(self, mark: Mark) -> None:
        self._assembler.rewind(mark)
        for _, sites in self._calls.values():
            sites[:] = [s for s in sites if s < mark.code]

    def _branches(self, kinds: Sequence[AvroType], emit: Callable[[AvroType], None]) -> None:
        table = self._assembler.table([0] * len(kinds))
        self._assembler.emit(op.UNION, len(kinds), table)
        empty, exits = [], []
        for k, kind in enumerate(kinds):
            start = self._assembler.position
            self._assembler.patch_table(table + k, start)
            emit(kind)
            if self._assembler.position == start:
                empty.append(table + k)
            elif k < len(kinds) - 1:
                exits.append(self._assembler.emit(op.JUMP))
        for position in empty:
            self._assembler.patch_table(position, self._assembler.position)
        for index in exits:
            self._assembler.patch(index, 0, self._assembler.position)

    def _skip(self, kind: AvroType, place: str) -> None:
        match kind:
            case Primitive("int" | "long", _) | Enum():
                self._assembler.emit(op.SKIP_VARINT)
            case Primitive("string" | "bytes", _):
                self._assembler.emit(op.SKIP_TEXT)
            case Primitive(name, _) if name in _SKIPPED_BYTES:
                self._assembler.emit(op.SKIP_BYTES, _SKIPPED_BYTES[name])
            case Fixed(_, size):
                self._assembler.emit(op.SKIP_BYTES, size)
            case Array(items):
                self._skip_array(items, place)
            case Map(values):
                self._loop(None, lambda: self._skip_entry(values, place))
            case Union(branches):
                self._branches(branches, lambda branch: self._skip(branch, place))
            case Record():
                self._skip_record(kind, place)

    def _skip_array(self, items: AvroType, place: str) -> None:
        if takes_no_bytes(items):
            self._assembler.emit(op.SKIP_EMPTY)
        else:
            self._loop(None, lambda: self._skip(items, place))

    def _skip_entry(self, values: AvroType, place: str) -> None:
        self._assembler.emit(op.SKIP_TEXT)
        self._skip(values, place)

    def _skip_record(self, kind: Record, place: str) -> None:
        if kind.recursive:
            _, sites = self._calls.setdefault(id(kind), (kind, []))
            sites.append(self._assembler.emit(op.CALL))
            return
        for field in () if kind.empty else kind.fields:
            self._skip(field.type, f"{place}.{field.name}")

    def _subroutines(self) -> None:
        done: dict[int, int] = {}
        while pending := [k for k in self._calls if k not in done]:
            record, _ = self._calls[pending[0]]
            done[pending[0]] = self._assembler.position
            for field in record.fields:
                self._skip(field.type, f"{record.names.last}.{field.name}")
            self._assembler.emit(op.RETURN)
        for key, (_, sites) in self._calls.items():
            for site in sites:
                self._assembler.patch(site, 0, done[key])


def _reader_name(written: Field, reader: Record) -> str | None:
    by_name = next((f.name for f in reader.fields if f.name == written.name), None)
    return by_name or next((f.name for f in reader.fields if written.name in f.aliases), None)


def _column(node: Node) -> Column:
    if node.column is None:
        raise SchemaIncompatible(_name(node.kind), "it has no column")
    return node.column


def _target(node: Node) -> tuple[int, int]:
    return op.slot_of(_column(node).index, op.VALUES), node.level


def _scaled(kind: Primitive) -> bool:
    return kind.logical.startswith(_SCALED)


def _name(kind: AvroType) -> str:
    match kind:
        case Primitive(name):
            return name
        case Record() | Enum() | Fixed():
            return f"{type(kind).__name__.lower()} {kind.names.full}"
    return type(kind).__name__.lower()
