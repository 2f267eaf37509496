"""The 5 bytes in front of every Avro body: magic byte 0 and the registry's schema id, big-endian.

Source: Confluent "Wire format",
https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from consumers.batch import Bytes, Int32s, Payloads
from consumers.decode.errors import DecodeError

#: Length of the frame; the Avro body starts here.
FRAME_BYTES = 5


@dataclass(frozen=True, slots=True)
class Frames:
    """What stands in front of the bodies of n messages.

    Attributes:
        schema_ids: Registry id of each message's writer schema, -1 where the frame is in error; int32[n].
        errors: 0, or a ``DecodeError`` code (``empty``, ``frame_short``, ``frame_magic``); uint8[n].
    """

    schema_ids: Int32s
    errors: Bytes


def read_frames(payloads: Payloads) -> Frames:
    """Read the frames of all messages of a batch at once.

    Args:
        payloads: Values of n messages, with their tail padding.

    Returns:
        Schema ids and errors, int32[n] and uint8[n].
    """
    errors = np.zeros(len(payloads), np.uint8)
    # Reading past a short value stays inside the buffer because of its padding; what was read is discarded.
    head = payloads.data[payloads.starts[:, None] + np.arange(FRAME_BYTES)].reshape(-1, FRAME_BYTES)
    errors[head[:, 0] != 0] = DecodeError.frame_magic
    errors[payloads.lengths < FRAME_BYTES] = DecodeError.frame_short
    errors[payloads.lengths == 0] = DecodeError.empty
    ids = np.ascontiguousarray(head[:, 1:]).view(">i4").reshape(-1).astype(np.int32)
    return Frames(np.where(errors == 0, ids, np.int32(-1)).astype(np.int32), errors)
