"""The machine and the versions that figures belong to, and what else ran meanwhile."""

from __future__ import annotations

import os
import platform
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


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor()
