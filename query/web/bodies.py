"""Request and response bodies, query parameters and snapshots, as they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_plus

from query.access.personal import MASKED
from query.fields import Row
from query.web.json_text import MOST_CHARACTERS, NotJson, indented, read, written

#: Query parameters that are listed.
MOST_PARAMETERS = 500


@dataclass(frozen=True, slots=True)
class Body:
    """A text that may be JSON.

    Attributes:
        text: What is shown: indented when it is JSON, else as it is; at most MOST_CHARACTERS of the latter.
        form: json or text.
        stored_bytes: Size of what is stored.
        sent_bytes: Size that the service told of the body as it was sent; None when it told none.
        is_cut: The service kept only a part of it.
        is_masked: It is hidden from this reader.
        is_shown_in_part: It is stored as a whole and too long to be shown as a whole.
    """

    text: str
    form: Literal["json", "text"]
    stored_bytes: int
    sent_bytes: int | None = None
    is_cut: bool = False
    is_masked: bool = False
    is_shown_in_part: bool = False


@dataclass(frozen=True, slots=True)
class QueryParameters:
    """The query part of a call.

    Attributes:
        pairs: Names and values in order, decoded; a name may come several times.
        text: All of it, as it is stored.
        is_masked: It is hidden from this reader.
        unlisted: How many pairs there are beyond MOST_PARAMETERS.
    """

    pairs: tuple[tuple[str, str], ...]
    text: str
    is_masked: bool = False
    unlisted: int = 0


def body(text: str, *, sent_bytes: int | None = None, is_cut: bool = False) -> Body | None:
    """Return a text as it is shown, None when it is empty.

    Args:
        text: The stored text.
        sent_bytes: Size that the service told.
        is_cut: The service kept only a part.
    """
    if not text:
        return None
    size = len(text.encode(errors="surrogatepass"))
    if text == MASKED:
        return Body("", "text", 0, sent_bytes, is_cut, is_masked=True)
    try:
        return Body(indented(text), "json", size, sent_bytes, is_cut)
    except NotJson:
        return Body(
            text[:MOST_CHARACTERS], "text", size, sent_bytes, is_cut, is_shown_in_part=len(text) > MOST_CHARACTERS
        )


def request_body(event: Row, payload: Row) -> Body | None:
    """Return the request body of an API call.

    Args:
        event: Needs ``api_request_bytes`` and ``api_truncated``.
        payload: Needs ``api_request_body``.
    """
    return _body_of(event, payload["api_request_body"], event["api_request_bytes"])


def response_body(event: Row, payload: Row) -> Body | None:
    """Return the response body of an API call.

    Args:
        event: Needs ``api_response_bytes`` and ``api_truncated``.
        payload: Needs ``api_response_body``.
    """
    return _body_of(event, payload["api_response_body"], event["api_response_bytes"])


def _body_of(event: Row, text: str, sent_bytes: int | None) -> Body | None:
    # The service says of both bodies together whether it cut; the sizes tell which one.
    whole = sent_bytes is not None and len(text.encode(errors="surrogatepass")) >= sent_bytes
    return body(text, sent_bytes=sent_bytes, is_cut=bool(event["api_truncated"]) and not whole)


def query_parameters(text: str) -> QueryParameters | None:
    """Return the query part of a call, None when there is none.

    Args:
        text: A query string, or a JSON object.
    """
    if not text:
        return None
    if text == MASKED:
        return QueryParameters((), "", is_masked=True)
    pairs = _members(text) or tuple(_pairs(text))
    return QueryParameters(pairs[:MOST_PARAMETERS], text, unlisted=max(0, len(pairs) - MOST_PARAMETERS))


def _members(text: str) -> tuple[tuple[str, str], ...]:
    try:
        value = read(text) if text.startswith("{") else None
    except NotJson:
        return ()
    if not isinstance(value, dict):
        return ()
    return tuple((name, inner if isinstance(inner, str) else written(inner)) for name, inner in value.items())


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in text.removeprefix("?").split("&"):
        if part:
            name, _, value = part.partition("=")
            yield _decoded(name), _decoded(value)


def _decoded(text: str) -> str:
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        # Octets that are no UTF-8 stay as they were sent.
        return text
