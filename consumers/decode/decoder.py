"""The decoder: Avro messages in, Arrow columns and an error per message out."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from consumers.batch import TAIL_PADDING_BYTES, Bytes, Decoded, Int32s, Payloads
from consumers.decode.assembler import Assembler
from consumers.decode.blanks import Blanks, words_of
from consumers.decode.buffers import MAX_BYTES, Expectation
from consumers.decode.compiler import Compiler
from consumers.decode.dictionaries import Dictionary, Limits
from consumers.decode.errors import BatchTooLarge, DecodeError
from consumers.decode.framing import Frames
from consumers.decode.interpreter import prepare
from consumers.decode.layout import Kind, lay_out
from consumers.decode.placement import Placement
from consumers.decode.run import Run, Session
from consumers.decode.schema import parse_schema

#: Default limits of a dictionary; 40 columns at both limits take about 240 MB, a healthy column some kilobytes.
MAX_DICTIONARY_ENTRIES = 65_536
MAX_DICTIONARY_BYTES = 4 << 20


class Decoder:
    """Decodes batches of messages of any known writer schema to the columns of one reader schema.

    One thread calls it. Returned arrays stay valid for ever: their memory is not used again.
    """

    def __init__(
        self,
        reader_schema: Mapping[str, Any],
        dictionary_columns: AbstractSet[str] = frozenset(),
        *,
        max_dictionary_entries: int = MAX_DICTIONARY_ENTRIES,
        max_dictionary_bytes: int = MAX_DICTIONARY_BYTES,
        checked: bool = False,
    ) -> None:
        """Plan the columns.

        Args:
            reader_schema: Avro schema of the columns, a record, as JSON data.
            dictionary_columns: Paths of the string columns to dictionary-encode.
            max_dictionary_entries: Words above which a dictionary starts again with the next batch.
            max_dictionary_bytes: Bytes of words above which it does.
            checked: Compare every access to memory with the bounds of its buffer (about half the speed).

        Raises:
            SchemaUnsupported: The schema is not valid Avro, or a part of it has no column form.
            ValueError: A path of ``dictionary_columns`` is not a string column of the schema.
        """
        self._layout = lay_out(parse_schema(reader_schema), dictionary_columns)
        self._assembler = Assembler()
        self._compiler = Compiler(self._assembler, self._layout)
        self._program = self._assembler.finish()
        self._entries: dict[int, int] = {}
        self._known: dict[str, int] = {}
        limits = Limits(max_dictionary_entries, max_dictionary_bytes)
        words = (c for c in self._layout.columns if c.kind is Kind.WORDS)
        dictionaries = {c.index: Dictionary(c.path, limits) for c in words}
        placement = Placement(self._layout)
        self._session = Session(
            placement,
            dictionaries,
            {c.index: words_of(c) for c in self._layout.columns if c.symbols},
            Expectation(placement),
            Blanks(),
            np.zeros((placement.slots, 2), np.int64),
            np.frombuffer(secrets.token_bytes(16), np.int64).copy(),
            checked=checked,
        )

    def add_writer(self, schema_id: int, writer_schema: Mapping[str, Any]) -> None:
        """Compile a writer schema; messages with its id are decoded from then on.

        Args:
            schema_id: Registry id of the schema.
            writer_schema: The schema as JSON data.

        Raises:
            SchemaIncompatible: The reader schema cannot take what it writes.
            SchemaUnsupported: It is not valid Avro, or needs something that the decoder does not do.
        """
        text = json.dumps(writer_schema, sort_keys=True)
        if text not in self._known:
            self._known[text] = self._compiler.compile(parse_schema(writer_schema))
            self._program = self._assembler.finish()
        self._entries[schema_id] = self._known[text]

    def knows(self, schema_id: int) -> bool:
        """Tell whether a writer schema of this id was added."""
        return schema_id in self._entries

    def decode(self, payloads: Payloads, frames: Frames, max_message_bytes: int) -> Decoded:
        """Decode a batch.

        Args:
            payloads: Values of n messages, frames included.
            frames: What ``read_frames`` found in them.
            max_message_bytes: Longer values are not decoded, error ``too_large``.

        Returns:
            Columns of the m messages that decoded, in message order, and the errors of the others.

        Raises:
            BatchTooLarge: A column would need more than 2 GiB.
            ValueError: The payloads do not lie within their buffer and its padding.
        """
        _check_bounds(payloads)
        prepare(checked=self._session.checked)
        errors = frames.errors.copy()
        errors[(errors == 0) & (payloads.lengths > max_message_bytes)] = DecodeError.too_large
        entries = self._entries_of(frames.schema_ids, errors)
        return Run(self._session, self._program, payloads, entries, errors).decode()

    def _entries_of(self, schema_ids: Int32s, errors: Bytes) -> Int32s:
        entries = np.full(len(errors), -1, np.int32)
        good = np.flatnonzero(errors == 0)
        ids = schema_ids[good]
        # One id in the whole batch is the rule, and sorting costs more than looking.
        uniform = ids.size > 0 and bool((ids == ids[0]).all())
        distinct, inverse = (ids[:1], np.zeros(ids.size, np.intp)) if uniform else np.unique(ids, return_inverse=True)
        starts = np.array([self._entries.get(int(i), -1) for i in distinct], np.int32)
        entries[good] = starts[inverse] if ids.size else -1
        errors[good[entries[good] < 0]] = DecodeError.schema_unknown
        return entries


def _check_bounds(payloads: Payloads) -> None:
    starts, lengths = payloads.starts, payloads.lengths
    if len(starts) != len(lengths):
        raise ValueError(f"{len(starts)} starts and {len(lengths)} lengths of payloads")
    if not len(starts):
        return
    if min(starts.min(), lengths.min()) < 0 or (starts + lengths).max() + TAIL_PADDING_BYTES > payloads.data.size:
        raise ValueError("payloads must lie in their buffer, with the padding behind the last one")
    if int(lengths.sum()) > MAX_BYTES:
        raise BatchTooLarge("the batch", int(lengths.sum()))
