r"""The text form of a question: ``actor:ann@x.com action:campaign.* -outcome:success (ip:10.0.0.0/8 OR country:DE)``.

Terms next to each other must all match. ``OR`` between them, parentheses, ``-`` or ``NOT`` before one, and
``name:a,b`` for any of several values. A value with blanks, commas or parentheses is written in double quotes, where
``\`` keeps the next character. A word without a name is looked for in the text of the event.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from query.errors import InvalidFilter
from query.expression import MAX_DEPTH, MAX_TERMS, All, AnyOf, Expression, Not, Term, terms

#: Characters of a question at most.
MAX_CHARACTERS = 20_000
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):")
_BARE = re.compile(r'[^\s()",]+')
_BLANKS = re.compile(r"\s*")
_NEEDS_QUOTES = re.compile(r'[\s()",\\]')


def parse(text: str) -> Expression:
    """Parse the text form.

    Args:
        text: The question; blank asks for everything.

    Returns:
        An expression whose terms know their position; names and values are not checked yet.

    Raises:
        InvalidFilter: The text does not follow the form; with the position.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidFilter(text[:20] + "…", "the question is too long", f"at most {MAX_CHARACTERS} characters")
    parser = _Parser(text)
    expression = parser.any_of(1)
    parser.end()
    if sum(1 for _ in terms(expression)) > MAX_TERMS:
        raise InvalidFilter(text[:20] + "…", "too many terms", f"at most {MAX_TERMS}")
    return expression


def to_text(expression: Expression) -> str:
    """Return the text form of an expression; parsing it gives an equivalent expression."""
    match expression:
        case Term(name, value):
            return f"{name}:{_quoted(value)}"
        case Not(part):
            return f"-{_grouped(part)}"
        case All(parts):
            return " ".join(map(_grouped, parts)) if parts else "()"
        case AnyOf(parts):
            return " OR ".join(map(_grouped, parts)) if parts else "-()"


def _grouped(expression: Expression) -> str:
    text = to_text(expression)
    return text if isinstance(expression, (Term, Not)) or text in ("()", "-()") else f"({text})"


def _quoted(value: str) -> str:
    if value and not _NEEDS_QUOTES.search(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(slots=True)
class _Parser:
    """A recursive descent over the text; ``at`` is the next character."""

    text: str
    at: int = 0

    def any_of(self, level: int) -> Expression:
        if level > MAX_DEPTH:
            raise self.error("too many parentheses", f"at most {MAX_DEPTH} levels")
        parts = [self.all_of(level)]
        while self.keyword("OR"):
            parts.append(self.all_of(level, after="OR"))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def all_of(self, level: int, after: str = "") -> Expression:
        parts: list[Expression] = []
        while not self.at_boundary():
            parts.append(self.one(level))
        if after and not parts:
            raise self.error(f"nothing follows {after}", "a term")
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def one(self, level: int) -> Expression:
        if level > MAX_DEPTH:
            raise self.error("nested too deep", f"at most {MAX_DEPTH} levels")
        if self.text.startswith("-", self.at):
            self.at += 1
            return self.negated("-", level)
        if self.keyword("NOT"):
            return self.negated("NOT", level)
        return self.group(level) if self.text.startswith("(", self.at) else self.term()

    def negated(self, sign: str, level: int) -> Expression:
        if self.at_boundary():
            raise self.error(f"nothing follows {sign}", "a term")
        return Not(self.one(level + 1))

    def group(self, level: int) -> Expression:
        start = self.at
        self.at += 1
        inner = self.any_of(level + 1)
        self.blanks()
        if not self.text.startswith(")", self.at):
            self.at = start
            raise self.error("the parenthesis is not closed", '")"')
        self.at += 1
        return inner

    def term(self) -> Expression:
        start = self.at
        named = _NAME.match(self.text, self.at)
        name = named[1].lower() if named else "text"
        self.at = named.end() if named else self.at
        values = [self.value(name)]
        while named and self.text.startswith(",", self.at):
            self.at += 1
            values.append(self.value(name))
        found = tuple(Term(name, v, start) for v in values)
        return found[0] if len(found) == 1 else AnyOf(found)

    def value(self, name: str) -> str:
        if self.text.startswith('"', self.at):
            return self.quoted()
        bare = _BARE.match(self.text, self.at)
        if not bare:
            raise self.error("a value is missing", f'{name}:VALUE, or {name}:"" for an empty one')
        self.at = bare.end()
        return bare[0]

    def quoted(self) -> str:
        start, found = self.at, []
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            self.at += self.text[self.at] == "\\"
            found.append(self.text[self.at : self.at + 1])
            self.at += 1
        if self.at >= len(self.text):
            self.at = start
            raise self.error("the quote is not closed", "a closing quote")
        self.at += 1
        return "".join(found)

    def keyword(self, word: str) -> bool:
        self.blanks()
        found = re.compile(rf"{word}(?=[\s(])|{word}$").match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found is not None

    def blanks(self) -> None:
        blanks = _BLANKS.match(self.text, self.at)
        self.at = blanks.end() if blanks else self.at

    def at_boundary(self) -> bool:
        self.blanks()
        rest = self.text[self.at : self.at + 3]
        return rest[:1] in ("", ")") or (rest[:2] == "OR" and rest[2:3].strip() in ("", "("))

    def end(self) -> None:
        self.blanks()
        if self.at < len(self.text):
            raise self.error("unexpected", "a term or OR")

    def error(self, problem: str, expected: str) -> InvalidFilter:
        return InvalidFilter(self.text[self.at : self.at + 30], problem, expected, position=self.at)
