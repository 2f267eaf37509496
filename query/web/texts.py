"""How values are written on the page: nothing that was logged can act, hide or turn round its neighbours."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

#: Line breaks and tabs are shown by their place instead.
_LAYOUT = "\n\t"
#: Control characters have pictures of their own from here on.
_PICTURES = 0x2400
_DELETE = 0x7F
_THIN = "\N{NARROW NO-BREAK SPACE}"


def bidi_safe(value: object) -> Markup:
    """Return any value as text that keeps its direction to itself, with invisible characters shown."""
    return Markup("<bdi>{}</bdi>").format(visible(value))


def visible(value: object) -> Markup:
    """Return a text in which control and formatting characters can be seen."""
    return Markup("").join(_runs(str(value)))


def _runs(text: str) -> Iterator[Markup]:
    plain = 0
    for at, character in enumerate(text):
        if _hidden(character):
            yield escape(text[plain:at])
            yield _mark(character)
            plain = at + 1
    yield escape(text[plain:])


def _hidden(character: str) -> bool:
    if character in _LAYOUT or (character.isascii() and character.isprintable()):
        return False
    # Cc and Cf: control and formatting; Co, Cs, Cn: nobody can say what they look like; Zl, Zp: breaks.
    return unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")


def _mark(character: str) -> Markup:
    number = ord(character)
    if number < 0x20:
        shown = chr(_PICTURES + number)
    elif number == _DELETE:
        shown = "\N{SYMBOL FOR DELETE}"
    else:
        shown = f"U+{number:04X}"
    name = unicodedata.name(character, f"U+{number:04X}").lower()
    return Markup('<span class="control" title="{}">{}</span>').format(name, shown)


def moment(value: datetime | None, zone: ZoneInfo, *, fraction: bool = True) -> Markup:
    """Return a moment as a ``<time>`` element in a zone, an em dash for none.

    Args:
        value: The moment.
        zone: In which zone it is shown.
        fraction: Show milliseconds.
    """
    if value is None:
        return Markup('<span class="none">—</span>')
    local, utc = value.astimezone(zone), value.astimezone(UTC)
    machine = utc.isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        machine, f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond:06} UTC", _written(local, fraction=fraction)
    )


def _written(local: datetime, *, fraction: bool) -> str:
    written = f"{local:%Y-%m-%d %H:%M:%S}"
    return f"{written}.{local.microsecond // 1000:03}" if fraction else written


def number(value: float) -> str:
    """Return a number with groups of three digits."""
    return f"{value:,}".replace(",", _THIN)


def duration(milliseconds: float | None) -> str:
    """Return a duration in the unit that people would use."""
    if milliseconds is None:
        return "—"
    if milliseconds < 1000:
        return f"{milliseconds:g} ms"
    seconds = milliseconds / 1000
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(value: int | None) -> str:
    """Return a number of bytes in the unit that people would use."""
    if value is None:
        return "—"
    amount, unit = float(value), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def words(name: str) -> str:
    """Return the name of a column as words: ``actor_email`` -> ``actor email``."""
    return name.replace("_", " ").replace(".", " ")


def joined(values: Sequence[object]) -> str:
    """Return a list as text."""
    return ", ".join(map(str, values))
