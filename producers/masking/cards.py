"""Payment card numbers in text."""

from __future__ import annotations

import re
from itertools import accumulate

#: 13 to 19 digits, groups separated by one blank or hyphen. The first digit of payment cards is 2 to 6 (ISO/IEC 7812-1,
#: major industry identifier), which leaves epoch times in milliseconds and microseconds alone until the year 2033.
_LENGTHS = range(13, 20)
_FIRST = "23456"
#: A plus is a blank in forms.
_LONG = re.compile(r"[0-9](?:[ +-]?[0-9]){12}")
# Digits inside words, hexadecimal digests, UUIDs, fractions and telephone numbers (+49…) are no cards.
_RUN = re.compile(
    r"(?P<uuid>(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}(?![0-9A-Za-z]))"
    r"|(?<![0-9A-Za-z+])(?<![0-9]\.)(?P<run>[0-9]++(?:[ -][0-9]++)*+)(?![0-9A-Za-z]|\.[0-9])"
)


def has_long_number(text: str) -> bool:
    """Say whether a text has 13 digits in a row, separators between them allowed."""
    return _LONG.search(text) is not None


def passes_luhn(digits: str) -> bool:
    """Say whether the check digit of a number is right.

    Source: ISO/IEC 7812-1, annex B (Luhn's formula).
    """
    odd = sum(map(int, digits[-1::-2]))
    even = sum(sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (odd + even) % 10 == 0


def mask_cards(text: str, mask: str, hits: dict[str, int]) -> str:
    """Replace every card number and count it under ``card``."""

    def replace(match: re.Match[str]) -> str:
        run = match["run"]
        return match[0] if run is None else _mask_run(run, mask, hits)

    return _RUN.sub(replace, text)


def _mask_run(run: str, mask: str, hits: dict[str, int]) -> str:
    # Groups and the separators between them alternate; a card is a sequence of whole groups.
    pieces = re.split(r"([ -])", run)
    result, at = [], 0
    while at < len(pieces):
        end = _card_end(pieces, at)
        if end:
            hits["card"] = hits.get("card", 0) + 1
        result.append(mask if end else pieces[at])
        at = end or at + 1
    return "".join(result)


def _card_end(pieces: list[str], start: int) -> int:
    """Return the index after the longest card that begins at a group, 0 when there is none."""
    if start % 2 or pieces[start][0] not in _FIRST:
        return 0
    groups = pieces[start : start + 2 * _LENGTHS.stop : 2]
    lengths = accumulate(map(len, groups))
    counts = [n for n, length in enumerate(lengths, 1) if length in _LENGTHS]
    longest = next((n for n in reversed(counts) if passes_luhn("".join(groups[:n]))), 0)
    return start + 2 * longest - 1 if longest else 0
