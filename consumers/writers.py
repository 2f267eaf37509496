"""The writer schemas that the decoder knows, and those that it cannot have."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from consumers.batch import Int32s
from consumers.decode import Decoder
from consumers.decode import errors as decode_errors
from schemas import errors as schema_errors

#: Seconds that the registry's answer "no such schema" is believed: a replica of it may lag behind a producer.
NOT_FOUND_TTL_S = 60.0


class Writers:
    """Teaches a decoder the writer schemas that batches ask for.

    Not thread-safe. A schema that does not exist or cannot be read is a fact about exactly its messages; an outage of
    the registry is a fact about nothing, so it is raised.

    Args:
        decoder: Learns the schemas.
        writer_schema: Returns the writer schema of a registry id.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        decoder: Decoder,
        writer_schema: Callable[[int], dict[str, Any]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._decoder, self._writer_schema, self._clock = decoder, writer_schema, clock
        self._unreadable: dict[int, tuple[str, str]] = {}
        self._missing: dict[int, float] = {}

    def learn(self, schema_ids: Int32s) -> Mapping[int, tuple[str, str]]:
        """Make the decoder know the schemas of a batch.

        Args:
            schema_ids: Registry id of each message, negative where there is none; int32[n].

        Returns:
            Reason code and text for each id that the decoder cannot know.

        Raises:
            RegistryUnavailable: An id could not be asked for.
            RegistryRefused: The registry cannot be used with these settings.
        """
        refused: dict[int, tuple[str, str]] = {}
        for schema_id in np.unique(schema_ids[schema_ids >= 0]).tolist():
            if not self._decoder.knows(schema_id) and (reason := self._learn_one(schema_id)):
                refused[schema_id] = reason
        return refused

    def _learn_one(self, schema_id: int) -> tuple[str, str] | None:
        if schema_id in self._unreadable:
            return self._unreadable[schema_id]
        if self._clock() < self._missing.get(schema_id, 0.0):
            return _not_found(schema_id)
        try:
            self._decoder.add_writer(schema_id, self._writer_schema(schema_id))
        except schema_errors.SchemaNotFound:
            self._forget_old_answers()
            self._missing[schema_id] = self._clock() + NOT_FOUND_TTL_S
            return _not_found(schema_id)
        except (
            decode_errors.SchemaIncompatible,
            decode_errors.SchemaUnsupported,
            schema_errors.SchemaIncompatible,
            schema_errors.SchemaUnsupported,
            schema_errors.SchemaInvalid,
        ) as error:
            self._unreadable[schema_id] = ("schema_incompatible", f"schema {schema_id} cannot be read: {error}")
            return self._unreadable[schema_id]
        self._missing.pop(schema_id, None)
        return None

    def _forget_old_answers(self) -> None:
        # Garbage that begins like a frame brings ids without end.
        now = self._clock()
        self._missing = {schema_id: until for schema_id, until in self._missing.items() if now < until}


def _not_found(schema_id: int) -> tuple[str, str]:
    return "schema_unknown", f"the schema registry has no schema {schema_id}"
