"""Random Avro schemas, values of them, and readers that they may evolve to."""

from __future__ import annotations

import copy
import random
import string
from typing import Any

from hypothesis import strategies as st

SCALARS = ("string", "bytes", "int", "long", "float", "double", "boolean")
FIELD_NAMES = st.lists(st.sampled_from(string.ascii_lowercase), min_size=1, max_size=6, unique=True)
INTS = {"int": 31, "long": 63}


@st.composite
def named(draw: st.DrawFn, counter: list[int], kind: str, depth: int, *, any_union: bool) -> dict[str, Any]:
    counter[0] += 1
    name = f"N{counter[0]}"
    if kind == "enum":
        return {"type": "enum", "name": name, "symbols": ["a", "b", "c"][: draw(st.integers(1, 3))]}
    if kind == "fixed":
        return {"type": "fixed", "name": name, "size": draw(st.integers(1, 20))}
    fields = [{"name": n, "type": draw(types(counter, depth - 1, any_union=any_union))} for n in draw(FIELD_NAMES)]
    return {"type": "record", "name": name, "fields": fields}


@st.composite
def types(draw: st.DrawFn, counter: list[int], depth: int, *, any_union: bool, in_map: bool = False) -> Any:
    kinds = ["scalar", "nullable", "enum", "fixed"]
    kinds += ["array", "map"] * (depth > 0) + ["record"] * (depth > 0 and not in_map) + ["union"] * any_union
    kind = draw(st.sampled_from(kinds))
    match kind:
        case "scalar":
            return draw(st.sampled_from(SCALARS))
        case "nullable":
            inner = draw(
                types(counter, depth, any_union=False, in_map=in_map).filter(lambda t: not isinstance(t, list))
            )
            return draw(st.permutations(["null", inner]))
        case "union":
            return draw(st.lists(st.sampled_from(["null", *SCALARS]), min_size=2, max_size=4, unique=True))
        case "array":
            return {"type": "array", "items": draw(types(counter, depth - 1, any_union=any_union, in_map=in_map))}
        case "map":
            return {"type": "map", "values": draw(types(counter, depth - 1, any_union=any_union, in_map=True))}
    return draw(named(counter, kind, depth, any_union=any_union))


def records(*, any_union: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda: [0]).flatmap(lambda counter: named(counter, "record", 3, any_union=any_union))


def branch_value(kind: Any, branches: int) -> st.SearchStrategy[Any]:
    # A branch is named with its value, or fastavro would choose one.
    return values(kind) if kind == "null" or branches == 2 else values(kind).map(lambda v: (kind, v))


def values(kind: Any) -> st.SearchStrategy[Any]:  # noqa: C901, PLR0911 - one a type
    if isinstance(kind, list):
        return st.one_of(*(branch_value(k, len(kind)) for k in kind))
    match kind["type"] if isinstance(kind, dict) else kind:
        case "null":
            return st.none()
        case "string":
            return st.text(max_size=40)
        case "bytes":
            return st.binary(max_size=40)
        case "int" | "long" as name:
            return st.integers(-(1 << INTS[name]), (1 << INTS[name]) - 1)
        case "float":
            return st.floats(width=32)
        case "double":
            return st.floats()
        case "boolean":
            return st.booleans()
        case "enum":
            return st.sampled_from(kind["symbols"])
        case "fixed":
            return st.binary(min_size=kind["size"], max_size=kind["size"])
        case "array":
            return st.lists(values(kind["items"]), max_size=4)
        case "map":
            return st.dictionaries(st.text(max_size=9), values(kind["values"]), max_size=4)
    return st.fixed_dictionaries({f["name"]: values(f["type"]) for f in kind["fields"]})


ADDED = (
    ("string", "eu-1"),
    ("int", -3),
    ("double", -0.0),
    ("boolean", True),
    (["null", "string"], None),
    (["string", "null"], "x" * 70),
    ({"type": "array", "items": "string"}, ["p", "", "qq"]),
    ({"type": "map", "values": "long"}, {"k": 1 << 40}),
    ({"type": "enum", "name": "AddedEnum", "symbols": ["r", "s"]}, "s"),
    (
        {
            "type": "record",
            "name": "AddedRecord",
            "fields": [{"name": "y", "type": "string"}, {"name": "z", "type": ["null", "int"]}],
        },
        {"y": "yy", "z": None},
    ),
)
PROMOTIONS = {
    "int": ["long", "float", "double"],
    "long": ["double"],
    "float": ["double"],
    "string": ["bytes"],
    "bytes": ["string"],
}


@st.composite
def evolved(draw: st.DrawFn, kind: Any) -> Any:
    """A reader type that takes what a writer type writes, mostly."""
    if isinstance(kind, list):
        others = [k for k in kind if k != "null"] or ["null"]
        inner = draw(evolved(draw(st.sampled_from(others))))
        return (
            inner if draw(st.booleans()) or isinstance(inner, list) else ["null", inner] if inner != "null" else inner
        )
    if isinstance(kind, str):
        promoted = draw(st.sampled_from([kind, kind, *PROMOTIONS.get(kind, [])]))
        return draw(st.sampled_from([promoted, promoted, ["null", promoted]])) if kind != "null" else kind
    kind = copy.deepcopy(kind)
    match kind["type"]:
        case "array":
            kind["items"] = draw(evolved(kind["items"]))
        case "map":
            kind["values"] = draw(evolved(kind["values"]))
        case "enum":
            kind["symbols"] = draw(st.permutations([*kind["symbols"][1:], "new"]))
            kind |= draw(st.sampled_from([{}, {"default": "new"}]))
        case "record":
            kept = draw(st.permutations([f for f in kind["fields"] if draw(st.integers(0, 3))]))
            kind["fields"] = [draw(evolved_field(f)) for f in kept]
    return kind


@st.composite
def evolved_field(draw: st.DrawFn, field: dict[str, Any]) -> dict[str, Any]:
    changed = {"name": field["name"], "type": draw(evolved(field["type"]))}
    return changed if draw(st.integers(0, 3)) else changed | {"name": "n" + field["name"], "aliases": [field["name"]]}


def supported(kind: Any) -> bool:
    """Tell whether a reader schema has no union of several types."""
    if isinstance(kind, list):
        return len([k for k in kind if k != "null"]) < 2 and all(supported(k) for k in kind)
    inner = [f["type"] for f in kind["fields"]] if isinstance(kind, dict) and "fields" in kind else []
    inner += [kind[k] for k in ("items", "values") if isinstance(kind, dict) and k in kind]
    return all(supported(k) for k in inner)


def without_logical_types(kind: Any) -> Any:
    if isinstance(kind, list):
        return [without_logical_types(k) for k in kind]
    if isinstance(kind, dict):
        return {k: without_logical_types(v) for k, v in kind.items() if k != "logicalType"}
    return kind


def event(chance: random.Random, kind: Any) -> Any:  # noqa: PLR0911 - one a type
    """A random value; hypothesis would need minutes for 160 fields."""
    if isinstance(kind, list):
        return None if chance.randrange(2) else event(chance, kind[1])
    match kind["type"] if isinstance(kind, dict) else kind:
        case "record":
            return {f["name"]: event(chance, f["type"]) for f in kind["fields"]}
        case "array":
            return [event(chance, kind["items"]) for _ in range(chance.choice([0, 0, 1, 3]))]
        case "map":
            return {event(chance, "string"): event(chance, kind["values"]) for _ in range(chance.choice([0, 1, 2]))}
        case "enum":
            return chance.choice(kind["symbols"])
        case "string":
            return chance.choice(
                [
                    "",
                    "",
                    "\0",
                    "a\0b",
                    "שלום",
                    "\u202eevil",
                    "👩‍👩‍👧",
                    "z" * chance.randrange(80),
                    "x" * (1_000_000 if chance.random() < 0.005 else 1),
                ]
            )
        case "int":
            return chance.choice([0, -1, (1 << 31) - 1, -(1 << 31)])
        case "long":
            return chance.choice([0, -1, 7_258_118_400_000_000, (1 << 63) - 1, -(1 << 63)])
        case "boolean":
            return chance.random() < 0.5
    return chance.choice([0.0, -0.0, 1e308, float("nan"), float("inf")])
