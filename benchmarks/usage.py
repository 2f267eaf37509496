"""CPU time and memory of processes, as the Linux kernel counts them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_MIB = 1 << 20


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far, all its threads, user and system, without its children.

    Resolution is 10 ms. Source: proc_pid_stat(5), fields 14 and 15.

    Raises:
        FileNotFoundError: There is no such process, or the system has no /proc.
    """
    # The second field is the name in parentheses and may contain anything.
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process, MiB."""
    return _status_kib(pid, "VmRSS") * 1024 / _MIB


def peak_rss_mib(pid: int) -> float:
    """Return the largest resident memory that a process has had, MiB. Source: proc_pid_status(5), VmHWM."""
    return _status_kib(pid, "VmHWM") * 1024 / _MIB


def _status_kib(pid: int, name: str) -> int:
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise ProcessLookupError(f"process {pid} has no {name}: it has ended")


@dataclass(frozen=True, slots=True)
class Meter:
    """CPU seconds of a process since a moment."""

    pid: int
    before_s: float

    @classmethod
    def of(cls, pid: int) -> Meter:
        """Start to count the CPU time of a process."""
        return cls(pid, cpu_s(pid))

    def read_s(self) -> float:
        """Return the CPU seconds since."""
        return cpu_s(self.pid) - self.before_s
