"""What can be wrong with a message, with a schema and with a batch.

DecodeError            one message; a code, never an exception: its neighbours go on
DecoderError           base of the exceptions
├── SchemaUnsupported  a schema, or a part of it, that the decoder does not read: change the schema
├── SchemaIncompatible a writer schema that the reader schema cannot resolve: the producer breaks the contract
└── BatchTooLarge      a batch whose columns would pass 2 GiB: cut smaller batches
"""

from __future__ import annotations

from enum import IntEnum


class DecodeError(IntEnum):
    """Why one message was not decoded; names are stable, they become ``reason_code`` of dead letters."""

    eof = 1
    varint_too_long = 2
    negative_length = 3
    utf8 = 4
    enum_index = 5
    enum_symbol = 6
    union_index = 7
    union_branch = 8
    trailing_bytes = 9
    int_range = 10
    boolean = 11
    block = 12
    too_many_items = 13
    depth = 14
    too_large = 15
    empty = 16
    frame_short = 17
    frame_magic = 18
    schema_unknown = 19


_TEXTS = {
    DecodeError.eof: "the message ends inside a value",
    DecodeError.varint_too_long: "a variable-length integer does not fit 64 bits",
    DecodeError.negative_length: "a string or bytes value has a negative length",
    DecodeError.utf8: "a string is not valid UTF-8",
    DecodeError.enum_index: "an enum index is outside the symbols of the writer schema",
    DecodeError.enum_symbol: "an enum symbol is unknown to the reader schema, which has no default for it",
    DecodeError.union_index: "a union index is outside the branches of the writer schema",
    DecodeError.union_branch: "a union holds a branch that the reader schema cannot take",
    DecodeError.trailing_bytes: "bytes follow the last field of the message",
    DecodeError.int_range: "an int is outside -2147483648 to 2147483647",
    DecodeError.boolean: "a boolean is neither 0 nor 1",
    DecodeError.block: "a block of an array or map announces more items than the message has bytes",
    DecodeError.too_many_items: "the arrays and maps of the message hold too many items",
    DecodeError.depth: "values are nested too deeply",
    DecodeError.too_large: "the message is larger than the limit",
    DecodeError.empty: "the message has no value",
    DecodeError.frame_short: "the message is shorter than the 5 bytes in front of an Avro body",
    DecodeError.frame_magic: "the message does not begin with byte 0, it is not in the registry's wire format",
    DecodeError.schema_unknown: "the schema id of the message is not known",
}


def explain(code: int) -> str:
    """Return a decode error in words.

    Args:
        code: A ``DecodeError``, as found in ``Decoded.errors``.

    Raises:
        ValueError: The code is 0 or unknown.
    """
    return _TEXTS[DecodeError(code)]


class DecoderError(Exception):
    """Base of the decoder's exceptions."""


class _SchemaProblem(DecoderError):
    """A problem at one place of a schema.

    Attributes:
        place: Dotted path of the place, from the name of the outermost record.
        reason: What is wrong there.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class SchemaUnsupported(_SchemaProblem):
    """A schema is not valid Avro, or has a part that the decoder does not turn into columns."""


class SchemaIncompatible(_SchemaProblem):
    """What a writer schema writes cannot be resolved to the reader schema."""


class BatchTooLarge(DecoderError):
    """A column of a batch would need more than 2 GiB, the most that 32-bit offsets reach."""

    def __init__(self, what: str, needed_bytes: int) -> None:
        super().__init__(f"{what} would need {needed_bytes} bytes, more than 32-bit offsets reach; cut smaller batches")
        self.what = what
        self.needed_bytes = needed_bytes
