"""``python -m benchmarks``."""

from __future__ import annotations

import sys
from pathlib import Path

# The servers of the tests are those of the benchmarks; pytest has the same folder on its path.
sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from benchmarks.command import main

if __name__ == "__main__":
    sys.exit(main())
