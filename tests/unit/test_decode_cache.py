"""Machine code kept on disk is used only with the sources it was made of."""

from __future__ import annotations

import ast
from pathlib import Path

from consumers.decode import interpreter

FOLDER = Path(interpreter.__file__).parent


def imports(module: str) -> set[str]:
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    found = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
    direct = {
        str(n.module).removeprefix("consumers.decode.") for n in found if str(n.module).startswith("consumers.decode.")
    }
    packaged = {a.name for n in found if n.module == "consumers.decode" for a in n.names}
    return direct | packaged


def test_every_module_that_is_compiled_is_part_of_the_key_of_the_cache() -> None:
    reached, waiting = {"kernel"}, ["kernel"]
    while waiting:
        new = imports(waiting.pop()) - reached
        reached |= new
        waiting += new
    assert reached == set(interpreter.COMPILED_MODULES)
