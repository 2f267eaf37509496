"""A process of ours loads no library that it does not use."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
from auditstream.cli import main
sys.argv = ["auditstream", "settings"]
try:
    main()
except SystemExit:
    pass
import auditstream.commands.worker
import pyarrow as pa
pa.array(["a", None])
assert "pandas" not in sys.modules
try:
    import pandas
except ModuleNotFoundError as error:
    print("refused", error.name, file=sys.stderr)
"""


def test_arrow_does_not_load_pandas_into_a_command() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1:] == ["refused pandas"]
