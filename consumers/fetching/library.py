"""The functions of librdkafka that confluent_kafka does not offer, from the very library that it has loaded.

confluent_kafka makes an object of every message. Its library also gives out a thousand messages as an array of
pointers, which compiled code copies in a tenth of the time. Everything else, group, commits, callbacks, stays with
confluent_kafka's own consumer.

Source: librdkafka's rdkafka.h, sections "Queue API", "Message headers" and "Messages".
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, cimpl

_SUPPORTED_MAJOR = 2
_POINTER = ctypes.c_void_p
_POINTER_BYTES = 8
#: Name, what it returns, what it takes.
_FUNCTIONS: Sequence[tuple[str, Any, Sequence[Any]]] = (
    ("rd_kafka_name", ctypes.c_char_p, [_POINTER]),
    ("rd_kafka_version", ctypes.c_int, []),
    ("rd_kafka_queue_new", _POINTER, [_POINTER]),
    ("rd_kafka_queue_destroy", None, [_POINTER]),
    ("rd_kafka_queue_get_partition", _POINTER, [_POINTER, ctypes.c_char_p, ctypes.c_int32]),
    ("rd_kafka_queue_forward", None, [_POINTER, _POINTER]),
    ("rd_kafka_consume_batch_queue", ctypes.c_ssize_t, [_POINTER, ctypes.c_int, _POINTER, ctypes.c_size_t]),
    ("rd_kafka_message_errstr", ctypes.c_char_p, [_POINTER]),
    ("rd_kafka_message_timestamp", ctypes.c_int64, [_POINTER, _POINTER]),
    ("rd_kafka_message_detach_headers", ctypes.c_int, [_POINTER, _POINTER]),
    ("rd_kafka_message_destroy", None, [_POINTER]),
    ("rd_kafka_header_get_all", ctypes.c_int, [_POINTER, ctypes.c_size_t, _POINTER, _POINTER, _POINTER]),
    ("rd_kafka_headers_destroy", None, [_POINTER]),
)


class LibraryUnusable(RuntimeError):
    """Messages cannot be taken from librdkafka directly here; confluent_kafka's own way works all the same."""


@cache
def library() -> Any:
    """Return the library, its functions typed.

    Raises:
        LibraryUnusable: It is not the one that confluent_kafka uses, or it lacks a function.
    """
    _refuse_unknown_ground()
    try:
        # Names are looked up in what the extension module was linked with, so it is the same library.
        loaded = ctypes.CDLL(cimpl.__file__)
        for name, result, arguments in _FUNCTIONS:
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise LibraryUnusable(f"librdkafka's functions are not to be had: {error}") from error
    if loaded.rd_kafka_version() != confluent_kafka.libversion()[1]:
        raise LibraryUnusable("the librdkafka that was found is not the one that confluent_kafka uses")
    return loaded


def _refuse_unknown_ground() -> None:
    if sys.implementation.name != "cpython" or object.__basicsize__ != 2 * _POINTER_BYTES:
        raise LibraryUnusable("it is known for CPython with 64 bits and a GIL only")
    if struct.calcsize("P") != _POINTER_BYTES or sys.byteorder != "little":
        raise LibraryUnusable("it is known for little-endian systems with 64 bits only")
    if int(confluent_kafka.version()[0].split(".")[0]) != _SUPPORTED_MAJOR:
        raise LibraryUnusable(f"it is known for confluent_kafka {_SUPPORTED_MAJOR} only")


def handle_of(consumer: Consumer, client_id: str) -> int:
    """Return the address of the client inside a consumer.

    confluent_kafka keeps it as the first member of the object, and offers no way to ask for it.

    Args:
        consumer: Open consumer.
        client_id: Its ``client.id``, by which the client is recognised.

    Raises:
        LibraryUnusable: What is there is not this client.

    Source:
        confluent_kafka/src/confluent_kafka.h, ``Handle``.
    """
    functions = library()
    address = ctypes.c_void_p.from_address(id(consumer) + object.__basicsize__).value
    name: bytes | None = functions.rd_kafka_name(address) if address else None
    if name is None or not name.startswith(f"{client_id}#consumer-".encode()):
        raise LibraryUnusable(f"confluent_kafka's consumer is built in another way than expected ({name!r})")
    return int(address or 0)


def address_of(name: str) -> int:
    """Return the address of a function."""
    return int(ctypes.cast(getattr(library(), name), _POINTER).value or 0)


class NativeHeaders:
    """Headers of one message in librdkafka's memory, freed with this object."""

    __slots__ = ("_address",)

    def __init__(self, address: int) -> None:
        self._address = address

    def pairs(self) -> list[tuple[str, bytes | None]]:
        """Return name and value of each, in order."""
        get, found = library().rd_kafka_header_get_all, list[tuple[str, bytes | None]]()
        name, value, size = ctypes.c_char_p(), ctypes.c_void_p(), ctypes.c_size_t()
        places = ctypes.byref(name), ctypes.byref(value), ctypes.byref(size)
        while get(self._address, len(found), *places) == 0:
            text = None if value.value is None else ctypes.string_at(value.value, size.value)
            found.append(((name.value or b"").decode(errors="replace"), text))
        return found

    def __del__(self) -> None:
        library().rd_kafka_headers_destroy(self._address)


def error_of(message: int, code: int) -> KafkaError:
    """Return the error that a message stands for, and free the message.

    Args:
        message: Its address.
        code: Its error code.
    """
    functions = library()
    text = functions.rd_kafka_message_errstr(message)
    error = KafkaError(code, (text or b"").decode(errors="replace"))
    functions.rd_kafka_message_destroy(message)
    return error
