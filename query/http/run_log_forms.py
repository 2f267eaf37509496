"""The two forms of the run-log call, JSON and XML, in and out.

Source: the page "Get campaign log" of Altcraft's API documentation, version 72. Its examples show one member in a line
without indentation, and in XML the texts of entries as JSON writes them, quotes included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

#: Members of an entry, in the order of the page's examples: its JSON and its XML have them in different ones.
_JSON_ORDER = ("level", "message", "time", "state", "value")
_XML_ORDER = ("level", "message", "state", "time", "value")
#: What XML 1.0 cannot hold, not even as a reference.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


class BodyNotUnderstood(ValueError):
    """A body is neither JSON nor XML of the form of the call."""


@dataclass(frozen=True, slots=True)
class RunLogAnswer:
    """What the call answers; every member is always there.

    Attributes:
        entries: level, message, time, state and value of each entry, oldest first.
        total_count: How many match in all.
        error: 0, or a number that says what is wrong.
        error_text: The same in words.
    """

    entries: Sequence[Mapping[str, str]] = ()
    total_count: int = 0
    error: int = 0
    error_text: str = "Successful operation"

    def as_json(self) -> bytes:
        """Return the answer as JSON."""
        data = [{name: entry[name] for name in _JSON_ORDER} for entry in self.entries]
        members = {"data": data, **self._outcome()}
        return json.dumps(members, indent=0, ensure_ascii=False).encode(errors="replace")

    def as_xml(self) -> bytes:
        """Return the answer as XML."""
        lines = ["<xml>"]
        for entry in self.entries:
            lines += ["<data>", *(_element(n, json.dumps(entry[n], ensure_ascii=False)) for n in _XML_ORDER), "</data>"]
        lines += [_element(name, str(value)) for name, value in self._outcome().items()]
        return "\n".join([*lines, "</xml>"]).encode()

    def _outcome(self) -> dict[str, Any]:
        return {"error": self.error, "error_text": self.error_text, "total_count": self.total_count}


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(_NO_XML.sub(_UNKNOWN, text))}</{name}>"


def is_xml(body: bytes) -> bool:
    """Tell whether a body is meant as XML."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def read_request(body: bytes) -> dict[str, Any]:
    """Return the members of a request in either form; those of XML are texts.

    Raises:
        BodyNotUnderstood: It is neither.
    """
    return _of_xml(body) if is_xml(body) else _of_json(body)


def _of_json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BodyNotUnderstood("the body is neither JSON nor XML") from None
    if not isinstance(found, dict):
        raise BodyNotUnderstood("the body is no JSON object")
    return found


def _of_xml(body: bytes) -> dict[str, Any]:
    reading = _XmlRequest()
    try:
        reading.parser.Parse(body, True)  # noqa: FBT003 - the parser knows no name for it
    except expat.ExpatError as error:
        raise BodyNotUnderstood(f"the body is no XML: {error}") from None
    return reading.members


class _XmlRequest:
    """Reads ``<xml><name>text</name>…</xml>`` and nothing else: no document types, so no entities to expand."""

    def __init__(self) -> None:
        self.members: dict[str, Any] = {}
        self._open: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _refuse(self, *declaration: object) -> None:
        del declaration
        raise BodyNotUnderstood("a document type is not allowed in the body")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        del attributes
        self._open.append(name)
        if len(self._open) > 2 or self._open[0] != "xml":
            raise BodyNotUnderstood("expected <xml> with one element for each parameter")
        if len(self._open) == 2:
            if name in self.members:
                raise BodyNotUnderstood(f"<{name}> is given twice")
            self.members[name] = ""

    def _end(self, name: str) -> None:
        del name
        self._open.pop()

    def _text(self, text: str) -> None:
        if len(self._open) == 2:
            self.members[self._open[1]] += text
        elif text.strip():
            raise BodyNotUnderstood("there is text outside of the elements")
