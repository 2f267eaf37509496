"""Messages as they stand in Kafka: Confluent's wire format around one Avro body.

Source: Confluent documentation, "Wire format": magic byte 0, the schema id as 4 bytes big-endian, the Avro binary
encoding without container.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import fastavro

from schemas.errors import PayloadInvalid, RecordInvalid
from schemas.fitting import misfits, odd_check
from schemas.parsing import parse
from schemas.registry.promise import Schema

MAGIC = 0
#: Bytes in front of the Avro body.
HEADER_BYTES = 5
_HEADER = struct.Struct(">bI")


def frame(schema_id: int, body: bytes) -> bytes:
    """Put the header in front of an Avro body.

    Args:
        schema_id: Registry id of the schema that wrote the body, 0 to 4,294,967,295.
        body: Avro binary encoding.
    """
    return _HEADER.pack(MAGIC, schema_id) + body


def unframe(payload: bytes) -> tuple[int, bytes]:
    """Split one message into schema id and Avro body.

    Raises:
        PayloadInvalid: It is shorter than the header or begins with another magic byte.
    """
    if len(payload) < HEADER_BYTES:
        raise PayloadInvalid(f"{len(payload)} bytes, expected a header of {HEADER_BYTES} at least")
    magic, schema_id = _HEADER.unpack_from(payload)
    if magic != MAGIC:
        raise PayloadInvalid(f"magic byte {magic}, expected {MAGIC}")
    return schema_id, payload[HEADER_BYTES:]


class EventCodec:
    """Turns records into messages of one schema and back. Safe for several threads."""

    def __init__(self, schema: Schema, schema_id: int) -> None:
        """Prepare a codec.

        Args:
            schema: Record schema as JSON data, without recursion.
            schema_id: Its id in the registry.

        Raises:
            SchemaInvalid: It is not a schema.
        """
        self.schema_id = schema_id
        self._parsed = parse(schema, f"schema id {schema_id}")
        self._header = _HEADER.pack(MAGIC, schema_id)
        self._is_odd = odd_check(self._parsed, self._parsed.root)

    def encode(self, record: dict[str, Any]) -> bytes:
        """Return a record as a message: header and Avro body.

        Args:
            record: Values by field name. Fields with a default may be missing, unknown ones are refused; a time is
                an aware ``datetime`` or microseconds since 1970-01-01 UTC; a UUID is text or ``UUID``.

        Raises:
            RecordInvalid: With every problem: field, value and what was expected. Nothing is rounded, wrapped or
                guessed.
        """
        if self._is_odd and self._is_odd(record):
            self._refuse(record, None)
        stream = io.BytesIO()
        stream.write(self._header)
        try:
            # strict_allow_default refuses fields that the schema does not have.
            fastavro.schemaless_writer(stream, self._parsed.root, record, strict_allow_default=True)
        except (TypeError, ValueError, OverflowError, AttributeError, KeyError) as error:
            self._refuse(record, error)
        return stream.getvalue()

    def decode(self, payload: bytes) -> dict[str, Any]:
        """Return the record of one message of this codec's schema.

        Raises:
            PayloadInvalid: Wrong header, another schema id, a broken body, or bytes behind it.
        """
        schema_id, body = unframe(payload)
        if schema_id != self.schema_id:
            raise PayloadInvalid(f"schema id {schema_id}, expected {self.schema_id}")
        stream = io.BytesIO(body)
        try:
            record: Any = fastavro.schemaless_reader(stream, self._parsed.root, None)
        except (EOFError, IndexError, ValueError, OverflowError, TypeError, MemoryError) as error:
            raise PayloadInvalid(f"broken body: {type(error).__name__}: {error}") from error
        if stream.tell() != len(body):
            raise PayloadInvalid(f"{len(body) - stream.tell()} bytes behind the end of the record")
        return dict(record)

    def _refuse(self, record: dict[str, Any], error: Exception | None) -> None:
        problems = list(misfits(self._parsed, self._parsed.root, record))
        if problems:
            raise RecordInvalid(problems) from error
        if error is not None:
            raise RecordInvalid([f"the encoder refused it: {type(error).__name__}: {error}"]) from error
