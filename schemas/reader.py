"""Single messages read record by record, whatever version wrote them; the worker's events go another, faster way."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import fastavro

from schemas.errors import PayloadInvalid, SchemaIncompatible
from schemas.registry.promise import Schema
from schemas.wire import unframe


class RecordReader:
    """Reads messages of one reader schema, resolving each writer schema by its id; used by one thread only."""

    def __init__(self, reader_schema: Schema, writer_schema: Callable[[int], Schema]) -> None:
        """Prepare a reader.

        Args:
            reader_schema: Schema that records are wanted in.
            writer_schema: Asked once for each schema id; may raise what a registry raises.
        """
        self._reader = fastavro.parse_schema(dict(reader_schema))
        self._ask = writer_schema
        self._writers: dict[int, Any] = {}

    def read(self, payload: bytes) -> dict[str, Any]:
        """Return the record of one message.

        Raises:
            PayloadInvalid: The bytes are not exactly one record of their schema.
            SchemaIncompatible: The writer schema cannot be read as ours.
            RegistryUnavailable: The registry could not be asked; call again later.
            SchemaNotFound: The registry has no such schema.
        """
        schema_id, body = unframe(payload)
        if schema_id not in self._writers:
            self._writers[schema_id] = fastavro.parse_schema(dict(self._ask(schema_id)))
        stream = io.BytesIO(body)
        try:
            record = fastavro.schemaless_reader(stream, self._writers[schema_id], self._reader)
        except fastavro.read.SchemaResolutionError as error:
            raise SchemaIncompatible(f"schema id {schema_id}", [str(error)]) from error
        except (EOFError, ValueError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
            raise PayloadInvalid(f"{type(error).__name__}: {error}") from error
        if stream.tell() != len(body):
            raise PayloadInvalid(f"{len(body) - stream.tell()} bytes behind the end of the record")
        if not isinstance(record, dict):
            raise PayloadInvalid("not a record")
        return record
