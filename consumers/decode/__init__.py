"""Avro messages become Arrow columns, each message bounded by its own length, errors per message."""

from consumers.decode.decoder import Decoder
from consumers.decode.errors import (
    BatchTooLarge,
    DecodeError,
    DecoderError,
    SchemaIncompatible,
    SchemaUnsupported,
    explain,
)
from consumers.decode.framing import FRAME_BYTES, Frames, read_frames
from consumers.decode.interpreter import Preparation, prepare

__all__ = [
    "FRAME_BYTES",
    "BatchTooLarge",
    "DecodeError",
    "Decoder",
    "DecoderError",
    "Frames",
    "Preparation",
    "SchemaIncompatible",
    "SchemaUnsupported",
    "explain",
    "prepare",
    "read_frames",
]
