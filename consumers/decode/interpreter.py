"""The compiled interpreter as the rest of the decoder calls it: loaded or compiled once per process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import structlog

from consumers.decode.columns import compiled_functions
from consumers.decode.kernel import build
from consumers.decode.machine import Machine, Span
from consumers.decode.settle import build_settle
from consumers.fetching import drain
from sinks import digest
from sinks.compiled.jit import cache_misses, digest_of_sources

_log = structlog.get_logger(__name__)
#: Modules whose source ends up in the machine code.
COMPILED_MODULES = (
    *(
        f"consumers.decode.{m}"
        for m in ("errors", "framing", "kernel", "machine", "memory", "opcodes", "settle", "text", "values")
    ),
    "sinks.compiled.access",
    "sinks.compiled.jit",
)


@dataclass(frozen=True, slots=True)
class Preparation:
    """How the machine code came to be.

    Attributes:
        compiled: It was compiled; else it was found on disk, or in memory already.
        seconds: How long that took.
    """

    compiled: bool
    seconds: float


@cache
def revision() -> int:
    """Return a digest of the sources of the machine code, 32 bits."""
    return digest_of_sources(COMPILED_MODULES)


@cache
def _function() -> Callable[[Machine, int, int, int], int]:
    return build(revision())


@cache
def _settling() -> Callable[[Machine, Span, Span], int]:
    return build_settle(revision())


def settle(machine: Machine, contents: Span, found: Span) -> int:
    """Call the compiled function, see ``settle.build_settle``."""
    return _settling()(machine, contents, found)


def decode_messages(machine: Machine, first: int, count: int, column: int) -> int:
    """Call the compiled function, see ``kernel.build``."""
    return _function()(machine, first, count, column)


def prepare(*, checked: bool = False) -> Preparation:
    """Load the machine code, or compile it (some forty seconds of CPU), once per process; the log says which.

    Args:
        checked: The form that checks every access, see ``memory``.

    Returns:
        What the first call of the process did.
    """
    return _prepare_once(checked)


@cache
def _prepare_once(checked: bool) -> Preparation:
    started = time.monotonic()
    _log.info("decoder.preparing", checked=checked, note="takes about a minute when it is not cached")
    before = _misses()
    machine = _empty_machine(checked=checked)
    decode_messages(machine, 0, 0, -1)
    settle(machine._replace(strips=Span(0, 0)), machine.strips, machine.strips)
    # A worker that decodes also fetches and digests; it shall wait for compilers once, and before it holds partitions.
    others_compiled = False if checked else any([drain.prepare(), digest.prepare()])
    _look_once()
    done = Preparation(_misses() > before or others_compiled, time.monotonic() - started)
    _log.info("decoder.ready", checked=checked, compiled=done.compiled, seconds=round(done.seconds, 2))
    return done


def _look_once() -> None:
    for look in compiled_functions():
        look(0, 0, 0, 0, 0)  # at no text


def _misses() -> int:
    return cache_misses((_function(), _settling(), *compiled_functions()))


def _empty_machine(*, checked: bool) -> Machine:
    # No message: of all buffers only outcome and the payload's slot are touched.
    import numpy as np  # noqa: PLC0415

    scratch = np.zeros(4, np.int64)
    room = Span(scratch.ctypes.data, scratch.nbytes)
    spans = {name: room for name in Machine._fields if name != "guard"}
    return Machine(guard=room.base if checked else None, **spans)
