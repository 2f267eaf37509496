"""The live tail: what arrives, as it arrives, continued without a gap."""

from __future__ import annotations

from functools import cache
from typing import Any

from starlette.responses import Response

from query.access.scoped_reader import ScopedReader
from query.arrivals import Position
from query.expression import Expression
from query.fields import Row
from query.http import tail as api
from query.http.asking import question_of_url
from query.http.parameters import Values
from query.question import Question
from query.syntax import to_text
from query.web import links
from query.web.narrowing import of_question
from query.web.page import PageRoute
from query.web.record import actor_path
from query.web.texts import visible
from query.web.visit import Visit

#: Rows that the page shows; older ones are taken away as others come.
MOST_ROWS = 200
#: Rows that are there at the beginning.
_FIRST_ROWS = 20
#: Parts of a question beside filters. The order of arrivals cannot be chosen.
_FIELDS = (
    "event_id",
    "occurred_at",
    "title",
    "outcome",
    "severity",
    "tenant_id",
    "actor_id",
    "actor_name",
    "actor_login",
    "ip",
    "geo_country",
    "target_type",
    "target_id",
    "target_name",
    "kafka_topic_id",
    "kafka_partition",
    "kafka_offset",
)


async def tail(visit: Visit) -> Response:
    """Show what arrived last, and have a script go on from there."""
    visit.takes_question()
    pairs = of_question(visit.request.query_params.multi_items(), order=False)
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    question = question_of_url(Values({"tz": [visit.zone.name], **given}))
    position, rows = await visit.read(lambda reader: _newest(reader, question))
    visit.record(question, rows=len(rows))
    zone: dict[str, Any] = {} if "tz" in given else {"tz": visit.zone.name}
    return visit.page(
        "tail.html",
        rows=rows,
        most_rows=MOST_ROWS,
        stream=links.address(api.PATH, [*pairs, *links.added({**zone, "fields": ",".join(_FIELDS)})]),
        position=position.encode(),
        narrowed=_text(question.expression),
        journal=links.address("/journal", pairs),
        actor_path=actor_path,
        place=_place,
        controls=control_marks(),
    )


def _newest(reader: ScopedReader, question: Question) -> tuple[Position, list[Row]]:
    # The position first: what arrives between the two reads is shown twice at worst, and the script tells it apart.
    position = reader.newest_position()
    return position, reader.page(question, limit=_FIRST_ROWS, fields=_FIELDS).rows


def _text(expression: Expression) -> str:
    text = to_text(expression)
    return "" if text == "()" else text


@cache
def control_marks() -> str:
    """Return what is shown in place of each control character: code points 0 to 31, then 127, with blanks between.

    The script of the page takes them from here, so that it shows what the server would. Those that are kept, such as
    a line break, have a ``-``.
    """
    return " ".join(visible(chr(code)).striptags().strip() or "-" for code in (*range(0x20), 0x7F))


def _place(row: Row) -> str:
    """Return where a row is stored: what tells two deliveries of an event apart."""
    return f"{row['kafka_topic_id']}/{row['kafka_partition']}/{row['kafka_offset']}"


PAGES = (PageRoute("/tail", tail, name="tail", section="Live"),)
