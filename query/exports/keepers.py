"""Which processes make files now, and how far they are: one small file for each, written again and again.

A process that is killed writes no more, by which every other one that shares the storage learns that its exports will
never be finished.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

import structlog

from query.exports.storage import Storage

_log = structlog.get_logger("query.exports")

_FOLDER = "keepers"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an export is that is being made.

    Attributes:
        rows: Rows written.
        total: Rows that it will have, None when that is not known.
        waiting: Whether it waits for others to be finished.
    """

    rows: int = 0
    total: int | None = None
    waiting: bool = True


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life of a process.

    Attributes:
        at: When it was given.
        alive_s: Seconds for which it is good.
        jobs: Progress of the exports that the process makes, by id.
    """

    at: datetime
    alive_s: float
    jobs: Mapping[str, Progress] = field(default_factory=dict)

    def is_good(self, now: datetime) -> bool:
        """Return whether the process can be taken to live."""
        return now - self.at < timedelta(seconds=self.alive_s)


class Keepers:
    """Reads and writes signs of life. Thread-safe."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def beat(self, keeper: str, beat: Beat) -> None:
        """Give a sign of life.

        Raises:
            StorageUnusable: It cannot be written.
        """
        data = {
            "at": beat.at.isoformat(),
            "alive_s": beat.alive_s,
            "jobs": {n: asdict(p) for n, p in beat.jobs.items()},
        }
        with self._storage.writing(_path(keeper)) as file:
            file.write(json.dumps(data).encode())

    def leave(self, keeper: str) -> None:
        """Take the sign of life of a process away; one that is not there is well."""
        self._storage.remove(_path(keeper))

    def beats(self) -> dict[str, Beat]:
        """Return the last sign of life of each process; a damaged one is logged and none.

        Raises:
            StorageUnusable: They cannot be read.
        """
        found = {}
        for path, content in self._storage.read_folder(_FOLDER).items():
            keeper = path.rpartition("/")[2].removesuffix(".json")
            try:
                found[keeper] = _beat(json.loads(content))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                _log.error("sign of life is damaged", keeper=keeper, reason=str(error))
        return found

    def forget(self, before: datetime) -> None:
        """Remove the signs of life that were given before a time."""
        for keeper, beat in self.beats().items():
            if beat.at < before:
                self.leave(keeper)


def _path(keeper: str) -> str:
    return f"{_FOLDER}/{keeper}.json"


def _beat(data: Mapping[str, object]) -> Beat:
    jobs = data["jobs"]
    if not isinstance(jobs, dict):
        raise TypeError("jobs is no object")
    progress = {str(name): Progress(**one) for name, one in jobs.items()}
    return Beat(datetime.fromisoformat(str(data["at"])), float(str(data["alive_s"])), progress)
