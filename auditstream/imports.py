"""Libraries that others import where they are installed, and that no process of ours needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

#: Arrow imports pandas, which comes with chdb, for conversions that nothing here makes: 50 MiB and a quarter of a
#: second of every process.
NEEDLESS = frozenset({"pandas"})


class _Absent(MetaPathFinder):
    """Says of some libraries that they are not installed."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Refuse one of them, leave all others to the other finders."""
        del path, target
        if fullname in NEEDLESS:
            raise ModuleNotFoundError(f"{fullname} is left out", name=fullname)


def leave_out_needless() -> None:
    """Have imports of ``NEEDLESS`` fail from now on, as if they were not installed; to be called before Arrow is used."""
    if not any(isinstance(finder, _Absent) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Absent())
