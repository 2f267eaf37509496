"""The machine and the versions that figures belong to, and what else ran meanwhile."""

from __future__ import annotations

import os
import platform
import re
import shutil
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import confluent_kafka

from auditstream import __version__
from infrastructure.artifacts import KAFKA_VERSION

_LIBRARIES = (
    "chdb",
    "clickhouse-connect",
    "confluent-kafka",
    "fastavro",
    "numba",
    "numpy",
    "orjson",
    "pyarrow",
    "ua-parser",
)
#: What a run writes at most, Kafka's log and databases together.
_ROOM_BYTES = 6 << 30


def describe() -> dict[str, object]:
    """Return what the machine is."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of everything that takes part."""
    named = {name: metadata.version(name) for name in _LIBRARIES}
    return {
        "auditstream": __version__,
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "librdkafka": confluent_kafka.libversion()[0],
        **named,
    }


def load() -> dict[str, object]:
    """Return the moment and the load averages of the machine, which tell how much else ran."""
    one, five, fifteen = os.getloadavg()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_1m": round(one, 2),
        "load_5m": round(five, 2),
        "load_15m": round(fifteen, 2),
    }


def memory() -> Path | None:
    """Return a directory in memory with room for a run, None when there is none.

    Data lie there so that the file system is not what is measured. Ext4 without a journal, which virtual machines like
    to have, searches long for an inode after many deletions: an insert of 1,000 rows took 127 ms of CPU on it, 50 ms in
    memory.
    """
    place = Path("/dev/shm")  # noqa: S108 - a new directory is made in it
    if not place.is_dir() or not os.access(place, os.W_OK):
        return None
    return place if min(shutil.disk_usage(place).free, _available_bytes() // 2) >= _ROOM_BYTES else None


def file_system(directory: Path) -> str:
    """Return the type of the file system of a directory, as Linux names it."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    above = {str(path) for path in (directory.resolve(), *directory.resolve().parents)}
    return max((m for m in mounts if m[0] in above), key=lambda mount: len(mount[0]))[1]


def _available_bytes() -> int:
    found = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(encoding="utf-8"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor()
