"""Masking of one text, whatever it is: JSON, form or query string, URL, header lines, or prose with all of these."""

from __future__ import annotations

import re
from urllib.parse import quote_plus, unquote_plus

import orjson

from producers.masking.json_text import mask_json
from producers.masking.rules import MASK, Hits, Rules

#: Texts inside texts (JSON in a form in JSON …) are followed so far; deeper, patterns alone apply.
MAX_DEPTH = 6
#: Left as they are when a masked value goes back into a form or query.
_SAFE = "*:/?,{}[]"

_FORM = re.compile(r"[^\s=&?]{1,256}=[^\s]*")
_URL = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"'<>\\]+")
_NAME_CHARS = r"\w.\-\[\]%"
# Starting only where a name starts keeps the search linear on long words such as base64.
_NAMED = re.compile(
    rf"(?<![{_NAME_CHARS}])(?P<name>[{_NAME_CHARS}]{{1,128}})\\?[\"']?[^\S\n]{{0,9}}[:=]>?[^\S\n]{{0,9}}"
)
_VALUE = re.compile(
    r"\\\"(?P<escaped>(?:(?!\\\").)*+)"
    r"|\"(?P<double>(?:[^\"\\]++|\\.)*+)"
    r"|'(?P<single>(?:[^'\\]++|\\.)*+)"
    # Punctuation that ends a sentence or a list is not part of a bare value.
    r"|(?P<bare>(?:[^\s&\"'<>\\]|\\(?![\"']))*(?:[^\s&\"'<>\\,;.)}\]]|\\(?![\"'])))",
    re.DOTALL,
)
_HEADER = re.compile(
    r"(?i)(?<![\w-])(?:proxy-)?(?:authorization|(?:set-)?cookie)[^\S\n]*:[^\S\n]*(?P<value>[^\r\n\"']*[^\s\"'])"
)


class TextMasker:
    """Masks secrets in texts. Thread-safe; keeps no text."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def mask(self, text: str, hits: Hits, depth: int = 0) -> str:
        """Return a text without secrets; everything else stays as it is, valid JSON stays valid JSON.

        Args:
            text: Any text.
            hits: Counts by rule, added to.
            depth: How many texts this one stands inside of.
        """
        if depth >= MAX_DEPTH:
            return self._rules.mask_patterns(text, hits)
        if text.lstrip()[:1] in ("{", "["):
            return self._json(text, hits, depth)
        if _FORM.fullmatch(text):
            return self._form(text, hits, depth)
        return self._prose(text, hits, depth)

    def _json(self, text: str, hits: Hits, depth: int) -> str:
        masked = mask_json(text, self._rules, hits, lambda inner: self.mask(inner, hits, depth + 1))
        return masked if _parses(text) else self._prose(masked, hits, depth)

    def _form(self, text: str, hits: Hits, depth: int) -> str:
        parts = re.split(r"([&;])", text)
        return "".join(self._pair(p, hits, depth) for p in parts)

    def _pair(self, pair: str, hits: Hits, depth: int) -> str:
        name, equals, value = pair.partition("=")
        if not equals or not value or value == MASK:
            return pair if equals else self._rules.mask_patterns(pair, hits)
        if self._rules.is_secret(name):
            hits["name"] = hits.get("name", 0) + 1
            return f"{name}={MASK}"
        plain = unquote_plus(value)
        masked = self.mask(plain, hits, depth + 1)
        return pair if masked == plain else f"{name}={quote_plus(masked, safe=_SAFE)}"

    def _prose(self, text: str, hits: Hits, depth: int) -> str:
        if "://" in text:
            text = _URL.sub(lambda m: self._url(m[0], hits, depth), text)
        text = self._rules.mask_patterns(text, hits)
        return self._named(_HEADER.sub(lambda m: _replace(m, "value", hits), text), hits)

    def _url(self, url: str, hits: Hits, depth: int) -> str:
        path, mark, query = url.partition("?")
        query, hash_mark, fragment = query.partition("#")
        if mark:
            query = self._form(query, hits, depth)
        if "=" in fragment:
            fragment = self._form(fragment, hits, depth)
        return f"{path}{mark}{query}{hash_mark}{fragment}"

    def _named(self, text: str, hits: Hits) -> str:
        result, done = [], 0
        match = _NAMED.search(text)
        while match:
            at = match.end()
            value = _VALUE.match(text, at) if self._rules.is_secret(match["name"].strip("\"'")) else None
            if value:
                result += [text[done : value.start()], _replace(value, value.lastgroup or "bare", hits)]
                at = done = value.end()
            match = _NAMED.search(text, at)
        return "".join((*result, text[done:]))


def _replace(match: re.Match[str], group: str, hits: Hits) -> str:
    # A masked value at the end of a URL is followed by the URL's fragment.
    if match[group] in ("", MASK) or match[group].startswith(f"{MASK}#"):
        return match[0]
    hits["name"] = hits.get("name", 0) + 1
    start, end = match.span(group)
    return f"{match.string[match.start() : start]}{MASK}{match.string[end : match.end()]}"


def _parses(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
