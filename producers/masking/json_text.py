"""Masking inside JSON text without parsing and writing it anew: what is not secret keeps its bytes.

Numbers keep their digits, objects their order, duplicate keys and white space; a cut document is masked up to the cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from producers.masking.cards import mask_cards
from producers.masking.rules import MASK, Hits, Rules

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_MASKED = f'"{MASK}"'
_KEPT = frozenset({"null", "true", "false", '""', _MASKED})
#: An object such as {"name": "Authorization", "value": "…"} names its value beside it.
_NAMING, _NAMED = frozenset({"name", "key", "header", "field"}), frozenset({"value", "val", "values"})


@dataclass(slots=True)
class _Frame:
    """One open object or list."""

    is_object: bool
    key_next: bool
    key: str = ""
    names_secret: bool = False


def mask_json(text: str, rules: Rules, hits: Hits, mask_text: Callable[[str], str]) -> str:
    """Mask a JSON document, or the beginning of one.

    Args:
        text: The document.
        rules: Which names are secret.
        hits: Counts by rule, added to.
        mask_text: Masks the content of one string.
    """
    return _Scan(text, rules, hits, mask_text).run()


class _Scan:
    def __init__(self, text: str, rules: Rules, hits: Hits, mask_text: Callable[[str], str]) -> None:
        self._text, self._rules, self._hits, self._mask_text = text, rules, hits, mask_text
        self._frames = [_Frame(is_object=False, key_next=False)]
        self._tokens = _TOKEN.finditer(text)
        self._out: list[str] = []
        self._done = 0

    def run(self) -> str:
        for match in self._tokens:
            self._token(match)
        return "".join((*self._out, self._text[self._done :]))

    def _token(self, match: re.Match[str]) -> None:
        lexeme, frame = match[0], self._frames[-1]
        if lexeme in ",:":
            frame.key_next = frame.is_object and lexeme == ","
        elif lexeme in "}]":
            if len(self._frames) > 1:
                self._frames.pop()
        elif frame.key_next and lexeme[0] == '"':
            self._key(match, frame)
        elif self._secret(frame):
            self._mask_value(match)
        elif lexeme in "{[":
            self._frames.append(_Frame(is_object=lexeme == "{", key_next=lexeme == "{"))
        else:
            self._scalar(match, frame)

    def _key(self, match: re.Match[str], frame: _Frame) -> None:
        frame.key, frame.key_next = _content(match[0]), False
        masked = self._rules.mask_patterns(frame.key, self._hits)
        if masked != frame.key:
            self._replace(match.start(), match.end(), _quoted(masked))

    def _secret(self, frame: _Frame) -> bool:
        if not frame.is_object:
            return False
        return self._rules.is_secret(frame.key) or (frame.names_secret and frame.key.lower() in _NAMED)

    def _mask_value(self, match: re.Match[str]) -> None:
        end, worth = match.end(), match[0] not in _KEPT
        if match[0] in "{[":
            end, worth = self._skip()
        if worth:
            self._hits["name"] = self._hits.get("name", 0) + 1
            self._replace(match.start(), end, _MASKED)

    def _skip(self) -> tuple[int, bool]:
        """Go to the end of the container just opened; say where it ends and whether anything in it is secret."""
        depth, end, worth = 1, len(self._text), False
        for match in self._tokens:
            lexeme = match[0]
            depth += (lexeme in "{[") - (lexeme in "}]")
            worth = worth or (lexeme not in _KEPT and lexeme not in "{}[],:")
            if depth == 0:
                return match.end(), worth
        return end, worth

    def _scalar(self, match: re.Match[str], frame: _Frame) -> None:
        lexeme = match[0]
        if lexeme[0] != '"':
            if mask_cards(lexeme, MASK, self._hits if self._rules.cards else {}) != lexeme and self._rules.cards:
                self._replace(match.start(), match.end(), _MASKED)
            return
        content = _content(lexeme)
        if frame.is_object and frame.key.lower() in _NAMING:
            frame.names_secret = self._rules.is_secret(content)
        masked = self._mask_text(content)
        if masked != content:
            self._replace(match.start(), match.end(), _quoted(masked))

    def _replace(self, start: int, end: int, text: str) -> None:
        self._out += (self._text[self._done : start], text)
        self._done = end


def _content(lexeme: str) -> str:
    if "\\" not in lexeme:
        return lexeme[1:-1] if len(lexeme) > 1 and lexeme[-1] == '"' else lexeme[1:]
    try:
        decoded = json.loads(lexeme, strict=False)
    except ValueError:  # cut, or an escape that JSON does not have: looked at as it stands
        return lexeme[1:].removesuffix('"')
    return str(decoded)


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if quoted.isascii() or text.isprintable() else json.dumps(text)
