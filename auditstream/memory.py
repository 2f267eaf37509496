"""Memory that a batch needed and gave back goes back to the system, so that a worker stays within its bound."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa

#: Numbers of glibc's mallopt(3), from <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 1 << 20
_ARENAS = 2


def return_freed_memory() -> bool:
    """Have large buffers handed back to the system when they are freed; call it before threads are started.

    Left alone, Arrow's pool and glibc keep one reserve for each of a dozen threads. Large buffers then come from the
    system directly, which costs about 0.1 us an event in page faults.

    Returns:
        Whether the C library could be told; others than glibc are left as they are.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    options = ((_M_ARENA_MAX, _ARENAS), (_M_MMAP_THRESHOLD, _LARGE_BYTES), (_M_TRIM_THRESHOLD, _LARGE_BYTES))
    answers = [mallopt(option, value) for option, value in options]
    return all(answer == 1 for answer in answers)
