"""What a package offers: named in its ``__all__``, importable, documented, and nothing runs at import."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("auditstream", "consumers", "producers", "query", "schemas", "sinks")
ROOT = Path(__file__).parents[2]
INITS = sorted(
    path.relative_to(ROOT)
    for package in PACKAGES
    for path in (ROOT / package).rglob("__init__.py")
    if "__pycache__" not in path.parts
)


def _is_re_export(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__" | "__version__")]):
            return True
    return False


@pytest.mark.parametrize("path", INITS, ids=str)
def test_a_package_file_only_says_what_it_is_and_re_exports(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert ast.get_docstring(tree)
    assert [ast.unparse(s) for s in tree.body if not _is_re_export(s)] == []


@pytest.mark.parametrize("path", INITS, ids=str)
def test_what_a_package_imports_it_offers_by_name(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    imports = [s for s in tree.body if isinstance(s, ast.ImportFrom) and s.module != "__future__"]
    imported = {alias.asname or alias.name for statement in imports for alias in statement.names}
    module = importlib.import_module(".".join(path.parent.parts))
    assert imported == set(getattr(module, "__all__", ()))


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_offers_is_documented(package: str) -> None:
    module = importlib.import_module(package)
    offered = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    things = {name: thing for name, thing in offered.items() if inspect.isclass(thing) or inspect.isfunction(thing)}
    assert [name for name, thing in things.items() if not (thing.__doc__ or "").strip()] == []


def test_importing_the_packages_reads_no_environment_and_starts_nothing() -> None:
    code = (
        "import os, threading\n"
        "class Refuse(dict):\n"
        "    def get(self, key, default=None): return self[key] if key in self else default\n"
        "    def __getitem__(self, key):\n"
        "        if key.startswith('AUDITSTREAM_'): raise RuntimeError(f'{key} was read at import')\n"
        "        return super().__getitem__(key)\n"
        "    def __contains__(self, key):\n"
        "        if key.startswith('AUDITSTREAM_'): raise RuntimeError(f'{key} was asked for at import')\n"
        "        return super().__contains__(key)\n"
        "before = threading.active_count()\n"
        "os.environ = Refuse(os.environ)\n"
        f"import {', '.join(PACKAGES)}\n"
        "import auditstream.settings, auditstream.cli\n"
        "assert threading.active_count() == before, threading.enumerate()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
