"""Raw bytes as people can look at them: offset, hexadecimal digits, characters."""

from __future__ import annotations

from collections.abc import Iterator

#: Bytes that are shown; the download has all of them.
MOST_BYTES = 4096
_WIDTH = 16


def hex_dump(data: bytes) -> str:
    """Return the first MOST_BYTES bytes as lines of offset, hexadecimal digits and ASCII characters.

    Args:
        data: The bytes.
    """
    return "\n".join(_lines(data[:MOST_BYTES]))


def _lines(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), _WIDTH):
        part = data[start : start + _WIDTH]
        digits = " ".join(f"{byte:02x}" for byte in part)
        characters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        yield f"{start:08x}  {digits:<{3 * _WIDTH - 1}}  {characters}"


def as_text(data: bytes) -> str:
    """Return the first MOST_BYTES bytes as UTF-8 text; what is no UTF-8 becomes U+FFFD."""
    return data[:MOST_BYTES].decode("utf-8", errors="replace")
