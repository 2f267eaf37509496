"""Where a page ended: an opaque text that fits one question only.

A cursor grants nothing: it holds a position, and the question is asked anew with every page. Its checksum finds
damage, its digest the use with another question.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from query.errors import InvalidCursor
from query.period import from_micros, micros

_VERSION = 2
_CHECK_BYTES = 8
_FOREIGN = "the cursor was made by another version; leave it out to start again"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The end of a page.

    Attributes:
        question: Digest of the question that it belongs to, see ``digest``.
        now: The present when the first page was read; relative times keep their meaning over all pages.
        keys: The values of the sort keys of the last row, as text.
        shown: Of several events that share these keys, the digest of the last that was on the page; empty when all
            were.
    """

    question: str
    now: datetime
    keys: tuple[str, ...]
    shown: str = ""

    def encode(self) -> str:
        """Return the cursor as URL-safe text."""
        data = [_VERSION, self.question, micros(self.now), list(self.keys), self.shown]
        return seal(json.dumps(data, separators=(",", ":")).encode())


def digest(*parts: str) -> str:
    """Return a short digest of what makes up a question."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:24]


def decode(text: str, question: str) -> Cursor:
    """Return the cursor of a text.

    Args:
        text: What ``Cursor.encode`` returned.
        question: Digest of the question that is asked now.

    Raises:
        InvalidCursor: The text is none, is damaged, or belongs to another question.
    """
    cursor = _fields(unseal(text))
    if cursor.question != question:
        raise InvalidCursor(
            "the cursor belongs to a question with another filter, period, zone or sort; leave it out to start again"
        )
    return cursor


def seal(body: bytes) -> str:
    """Return bytes as URL-safe text with a checksum."""
    return base64.urlsafe_b64encode(_checksum(body) + body).decode().rstrip("=")


def unseal(text: str) -> bytes:
    """Return the bytes of a sealed text.

    Raises:
        InvalidCursor: The text was not sealed, or is damaged.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidCursor("this is no cursor; copy it whole, or leave it out to start again") from None
    check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if check != _checksum(body):
        raise InvalidCursor("the cursor is damaged; copy it whole, or leave it out to start again")
    return body


def _fields(body: bytes) -> Cursor:
    # The checksum is no secret: whoever computes one may still have written anything.
    try:
        version, question, now, keys, shown = json.loads(body)
        cursor = Cursor(str(question), from_micros(now), tuple(map(str, keys)), str(shown))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise InvalidCursor(_FOREIGN) from None
    if version != _VERSION:
        raise InvalidCursor(_FOREIGN)
    return cursor


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(b"auditstream cursor" + body).digest()[:_CHECK_BYTES]
