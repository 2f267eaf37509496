"""How values are written where a format has no type of its own for them."""

from __future__ import annotations

import math
import unicodedata
from datetime import datetime
from zoneinfo import ZoneInfo

import orjson

#: A spreadsheet takes a cell that begins with one of these for a formula (OWASP, "CSV Injection"), full-width forms
#: included. The quote itself is among them so that taking one leading quote away always gives the value back.
_FORMULA_STARTS = frozenset("=+-@\uff1d\uff0b\uff0d\uff20'\t\r\n")
#: Control and format characters, which a program may drop before it looks for a formula, as it drops blanks.
_DROPPED = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


def moment_text(value: datetime, zone: ZoneInfo, separator: str = " ") -> str:
    """Return a moment with microseconds and its offset from UTC, as the clocks of a zone show it."""
    return value.astimezone(zone).isoformat(sep=separator, timespec="microseconds")


def nested_text(value: object) -> str:
    """Return a list or map as one line of JSON."""
    return orjson.dumps(value).decode()


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula; taking one leading ``'`` away gives the text back."""
    return f"'{text}" if looks_like_formula(text) else text


def looks_like_formula(text: str) -> bool:
    """Return whether a spreadsheet may take a text for a formula, also after blanks and invisible characters."""
    if not text or text[0].isalnum():
        return False
    first = next((c for c in text if unicodedata.category(c) not in _DROPPED), "")
    return text[0] in _FORMULA_STARTS or first in _FORMULA_STARTS


def finite(value: object) -> object:
    """Return a number as it is, and as text when JSON and spreadsheets have no number for it (NaN, infinities)."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
