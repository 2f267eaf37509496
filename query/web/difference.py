"""What an event changed, field by field: old beside new, nested JSON by path, long texts by word."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from query.access.personal import MASKED
from query.fields import Row
from query.web.json_text import Json, NotJson, is_container, laid_out, read, type_name, written
from query.web.words import Budget, Piece, marked_words, runs

Kind: TypeAlias = Literal["added", "removed", "changed", "masked"]

#: Type of a value whose text is all that is known of it.
STORED = "value"
_PLAIN_NAME = re.compile(r"[\w-]+")
_STATUS = "status"
#: Differences of one event that are listed; the rest is counted.
MOST_LISTED = 500


@dataclass(frozen=True, slots=True)
class Side:
    """A value before or after.

    Attributes:
        type_name: object, list, text, number, boolean or null of a value inside JSON; ``value`` of one that is stored
            as a text of its own, whose type the service did not tell.
        pieces: Its text, marked by what the other side has too; none when it is the empty text.
    """

    type_name: str
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs.

    Attributes:
        path: Where it is, for example ``limits.daily`` or ``tags[2]``.
        kind: added, removed or changed; masked when the values are not to be seen.
        before: The value before; None when the field did not exist.
        after: The value after; None when the field does not exist any more.
    """

    path: str
    kind: Kind
    before: Side | None
    after: Side | None


@dataclass(frozen=True, slots=True)
class Differences:
    """What an event changed.

    Attributes:
        listed: The differences, in the order in which the service told the fields.
        unlisted: How many there are beyond MOST_LISTED.
    """

    listed: tuple[Difference, ...]
    unlisted: int


def differences(event: Row) -> Differences:
    """Return what a stored event changed: its status first, then its ``changes``.

    Args:
        event: Needs ``status_before``, ``status_after`` and ``changes``.
    """
    found = list(_all(event, Budget()))
    return Differences(tuple(found[:MOST_LISTED]), max(0, len(found) - MOST_LISTED))


def _all(event: Row, budget: Budget) -> Iterator[Difference]:
    yield from _status(event["status_before"], event["status_after"])
    for change in event["changes"]:
        yield from _change(change, budget)


def _status(before: str, after: str) -> Iterator[Difference]:
    # A service that tells no status leaves both empty; one side alone is told when something begins or ends.
    if before or after:
        yield _difference(_STATUS, _whole(before or None, "removed"), _whole(after or None, "added"))


def _change(change: Mapping[str, Any], budget: Budget) -> Iterator[Difference]:
    path, before, after = change["field"], change["before"], change["after"]
    if change["masked"] or MASKED in (before, after):
        yield Difference(path, "masked", _whole(before, "same"), _whole(after, "same"))
    elif before is None or after is None:
        yield _difference(path, _whole(before, "removed"), _whole(after, "added"))
    else:
        yield from _changed(path, before, after, budget)


def _changed(path: str, before: str, after: str, budget: Budget) -> Iterable[Difference]:
    old, new = _container(before), _container(after)
    if old is not None and new is not None:
        inside = list(_inside(path, old, new, budget))
        # Nothing inside differs when only blanks or the order of members do; the event says that something changed.
        if inside:
            return inside
    left, right = marked_words(before, after, budget)
    return [Difference(path, "changed", Side(STORED, left), Side(STORED, right))]


def _container(text: str) -> Json:
    if not text.startswith(("{", "[")):
        return None
    try:
        return read(text)
    except NotJson:
        return None


def _whole(text: str | None, mark: Literal["same", "removed", "added"]) -> Side | None:
    if text is None:
        return None
    shown = laid_out(text) if _container(text) is not None else text
    return Side(STORED, (Piece(shown, mark),) if shown else ())


def _inside(path: str, old: Json, new: Json, budget: Budget) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _members(path, old, new, budget)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _items(path, old, new, budget)
    elif written(old) != written(new) or type_name(old) != type_name(new):
        yield _leaf(path, old, new, budget)


def _members(path: str, old: Mapping[str, Any], new: Mapping[str, Any], budget: Budget) -> Iterator[Difference]:
    for name in dict.fromkeys((*old, *new)):
        inner = _member_path(path, name)
        if name not in new:
            yield _difference(inner, _value(old[name], "removed"), None)
        elif name not in old:
            yield _difference(inner, None, _value(new[name], "added"))
        else:
            yield from _inside(inner, old[name], new[name], budget)


def _items(path: str, old: Sequence[Any], new: Sequence[Any], budget: Budget) -> Iterator[Difference]:
    for run in runs([*map(written, old)], [*map(written, new)], budget):
        if run.same:
            continue
        paired = min(len(run.before), len(run.after))
        for i, j in zip(run.before, run.after, strict=False):
            yield from _inside(f"{path}[{j}]", old[i], new[j], budget)
        for i in run.before[paired:]:
            yield _difference(f"{path}[{i}]", _value(old[i], "removed"), None)
        for j in run.after[paired:]:
            yield _difference(f"{path}[{j}]", None, _value(new[j], "added"))


def _leaf(path: str, old: Json, new: Json, budget: Budget) -> Difference:
    if type_name(old) == type_name(new) == "text":
        left, right = marked_words(str(old), str(new), budget)
        return Difference(path, "changed", Side("text", left), Side("text", right))
    return Difference(path, "changed", _value(old, "removed"), _value(new, "added"))


def _value(value: Json, mark: Literal["removed", "added"]) -> Side:
    name = type_name(value)
    if is_container(value):
        return Side(name, (Piece(laid_out(written(value)), mark),))
    text = str(value) if name in ("text", "number") else written(value)
    return Side(name, (Piece(text, mark),) if text else ())


def _difference(path: str, before: Side | None, after: Side | None) -> Difference:
    kind: Kind = "changed"
    if before is None or after is None:
        kind = "added" if before is None else "removed"
    return Difference(path, kind, before, after)


def _member_path(path: str, name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return f"{path}.{name}" if path else name
    # A name that holds a dot must not look like two names.
    return f"{path}[{json.dumps(name, ensure_ascii=False)}]"
