"""Dead letters: which messages were refused and why, and each of them with its bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from query.access.rights import Right
from query.access.scoped_reader import ScopedReader
from query.events import Page
from query.fields import Row
from query.http.problems import Problem
from query.ledger import DeadLetterFilter, Reason
from query.web.hex_dump import MOST_BYTES, as_text, hex_dump
from query.web.ledger_filters import given, offset_of, range_filters, topic_id
from query.web.page import PageRoute
from query.web.visit import Visit

_ROWS = 50
_TEXTS = ("stage", "reason_code", "tenant", "event_code")
_FIELDS = (
    "kafka_topic",
    "kafka_topic_id",
    "kafka_partition",
    "kafka_offset",
    "received_at",
    "ingested_at",
    "stage",
    "reason_code",
    "reason",
    "tenant_id",
    "event_code",
    "raw_bytes",
)
_GONE = "there is no such dead letter: never stored, past its retention, or out of your reach"


@dataclass(frozen=True, slots=True)
class Found:
    """One page of dead letters.

    Attributes:
        page: The letters.
        reasons: How many letters each reason has, of all that match but for the reason itself.
    """

    page: Page
    reasons: Sequence[Reason]


async def letters(visit: Visit) -> Response:
    """List dead letters."""
    texts: dict[str, Any] = {name: given(visit, name) for name in _TEXTS}
    ranges = dict(range_filters(visit))
    asked = DeadLetterFilter(**texts, **ranges, offset=offset_of(visit))
    # A facet shows what else there is to choose, so that its own choice does not count.
    others = DeadLetterFilter(**{**texts, "stage": None, "reason_code": None}, **ranges)
    cursor = visit.values.text("cursor")
    found = await visit.read(lambda reader: _found(reader, asked, others, cursor))
    names = tuple(sorted(name for name in (*_TEXTS, *ranges, "offset") if given(visit, name)))
    visit.record(rows=len(found.page.rows), filter_fields=names)
    return visit.page("letters.html", found=found, chosen=texts, filtered=bool(names))


def _found(reader: ScopedReader, asked: DeadLetterFilter, others: DeadLetterFilter, cursor: str | None) -> Found:
    page = reader.dead_letters(asked, limit=_ROWS, cursor=cursor, fields=_FIELDS)
    return Found(page, reader.dead_letter_reasons(others))


async def letter(visit: Visit) -> Response:
    """Show a dead letter."""
    row = await _letter(visit)
    raw: bytes | None = row["raw"]
    header_lines = [(h["name"], _shown(h["value"])) for h in row["headers"]]
    return visit.page(
        "letter.html",
        row=row,
        key=_shown(row["key"]),
        header_lines=header_lines,
        hexadecimal=None if raw is None else hex_dump(raw),
        text=None if raw is None else as_text(raw),
        shown_bytes=MOST_BYTES,
        raw_path=f"{visit.request.url.path}/raw",
    )


async def raw_letter(visit: Visit) -> Response:
    """Hand over the bytes of a dead letter, as far as they were kept."""
    visit.need(Right.BODIES, "raw messages")
    row = await _letter(visit)
    if row["raw"] is None:
        raise Problem("forbidden", "your role does not show raw messages", right=Right.PERSONAL.value)
    place = f"{row['kafka_topic_id']}-{row['kafka_partition']}-{row['kafka_offset']}"
    headers = {"Content-Disposition": f'attachment; filename="dead-letter-{place}.bin"'}
    return visit.finished(Response(row["raw"], media_type="application/octet-stream", headers=headers))


async def _letter(visit: Visit) -> Row:
    asked = DeadLetterFilter(**_place(visit.path), tenant=given(visit, "tenant"))
    found = await visit.read(lambda reader: reader.dead_letters(asked, limit=1))
    if not found.rows:
        raise Problem("not-found", _GONE)
    visit.record(code="access.view", rows=1, filter_fields=("offset", "partition", "topic_id"))
    return found.rows[0]


def _place(path: Mapping[str, str]) -> Mapping[str, Any]:
    numbers = {name: path[name] for name in ("partition", "offset")}
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in numbers.values()):
        raise Problem("not-found", "a dead letter has a partition and an offset, both whole numbers")
    return {"topic_id": topic_id(path["topic_id"]), **{name: int(text) for name, text in numbers.items()}}


def _shown(value: bytes | None) -> str | None:
    """Return bytes as text where they are UTF-8, else as hexadecimal digits; None when they are hidden."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"


PAGES = (
    PageRoute("/dead-letters", letters, name="letters", section="Dead letters", right=Right.LEDGER, group="Storage"),
    PageRoute("/dead-letters/{topic_id}/{partition}/{offset}", letter, name="letter", right=Right.LEDGER),
    PageRoute("/dead-letters/{topic_id}/{partition}/{offset}/raw", raw_letter, name="letter_raw", right=Right.LEDGER),
)
