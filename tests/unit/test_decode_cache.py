"""Machine code kept on disk is used only with the sources it was made of."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

from consumers.decode import columns, interpreter
from sinks import digest

PACKAGES = ("consumers.decode", "sinks.compiled")


def imports(module: str) -> set[str]:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text())
    found = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
    direct = {str(n.module) for n in found if str(n.module).startswith(tuple(f"{p}." for p in PACKAGES))}
    packaged = {f"{n.module}.{a.name}" for n in found if n.module in PACKAGES for a in n.names}
    return direct | packaged


def test_every_module_that_is_compiled_is_part_of_the_key_of_the_cache() -> None:
    interpreted = compiled_from("consumers.decode.kernel") | compiled_from("consumers.decode.settle")
    assert interpreted == set(interpreter.COMPILED_MODULES)
    assert compiled_from("consumers.decode.syntax") == set(columns.COMPILED_MODULES)
    assert compiled_from("sinks.compiled.canonical") == set(digest.COMPILED_MODULES)


def compiled_from(module: str) -> set[str]:
    reached, waiting = {module}, [module]
    while waiting:
        new = imports(waiting.pop()) - reached
        reached |= new
        waiting += new
    return reached
