"""Which names and which patterns are secret."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote_plus

from producers.errors import ProducerMisconfigured
from producers.masking.cards import has_long_number, mask_cards
from producers.settings import ProducerSettings

#: What stands in the place of a secret. None of the patterns matches it, so masking twice changes nothing.
MASK = "***"

RuleName = Literal["card", "bearer", "basic", "jwt", "key", "private_key", "url_password"]
#: Masked places by rule; ``name`` is the rule of the names.
Hits = dict[str, int]

#: Left out when names are compared; a plus is a blank in forms.
_SEPARATORS = {ord(c): None for c in "_-. +"}
#: A name that contains one of these, without separators, is secret.
_PARTS = (
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "authorization",
    "credential",
    "cookie",
    "cardnumber",
    "creditcard",
    "pincode",
)
#: A name whose last component is one of these is secret; as parts of names they would be too common.
_WORDS = ("pass", "pwd", "pin", "cvv", "cvv2", "cvc", "otp", "sig", "signature", "pan", "sid")
#: Names that contain a secret part and are none: paging, token accounting, identifiers of keys.
_ALLOWED = (
    "tokentype",
    "pagetoken",
    "nextpagetoken",
    "continuationtoken",
    "maxtokens",
    "totaltokens",
    "prompttokens",
    "completiontokens",
    "accesskeyid",
    "apikeyid",
    "tokenid",
)

_CREDENTIAL_CHARS = r"[A-Za-z0-9._~+/=-]"
#: Rule -> a string without which, in lower case, the pattern cannot match, and the pattern.
_PATTERNS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "private_key": (
        ("private key",),
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?!-----END).)*+(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?",
    ),
    "bearer": (("bearer",), rf"(?i:\bbearer)(?:\s|%20|\+){{1,5}}(?P<secret>{_CREDENTIAL_CHARS}{{8,}})"),
    # Credentials only: "basic authentication" in a sentence is not base64 of user:password.
    "basic": (("basic",), r"(?i:\bbasic)\s{1,5}(?P<secret>[A-Za-z0-9+/]{8,}={0,2})"),
    "jwt": (("eyj",), r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"),
    # Prefixes that their issuers publish so that scanners find them: Stripe, GitHub, GitLab, Slack, AWS, Google, SendGrid.
    "key": (
        (
            "sk_",
            "rk_",
            "pk_",
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "glpat-",
            "xox",
            "akia",
            "asia",
            "aiza",
            "sg.",
        ),
        r"(?<![A-Za-z0-9])(?:[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|gh[opusr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
        r"|glpat-[A-Za-z0-9_-]{16,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|A[KS]IA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}"
        r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})",
    ),
    "url_password": (("://",), r"://[^\s/?#@:\"'<>]{0,256}:(?P<secret>[^\s/?#@\"'<>]{1,256})@"),
}
BUILT_IN: tuple[str, ...] = (*_PATTERNS, "card")


def _credentials(candidate: str) -> bool:
    try:
        return b":" in base64.b64decode(candidate + "=" * (-len(candidate) % 4))
    except binascii.Error:
        return False


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern rule.

    Attributes:
        rule: Name of the rule in ``redactions``.
        needles: Lower-case strings, one of which any match contains; empty when that is not known.
        expression: What is searched; the group ``secret`` is masked, or the match.
        accept: Second look at a candidate.
    """

    rule: str
    needles: tuple[str, ...]
    expression: re.Pattern[str]
    accept: Callable[[str], bool] = field(default=lambda _: True)

    def may_match(self, text: str, lowered: str) -> bool:
        """Say cheaply whether the pattern can match."""
        return _any_in(self.needles, lowered) if self.needles else bool(self.expression.search(text))

    def mask(self, text: str, hits: Hits) -> str:
        """Mask every match and count it."""
        group = "secret" if "secret" in self.expression.groupindex else 0

        def replace(match: re.Match[str]) -> str:
            start, end = match.span(group)
            if start < 0 or match[group] == MASK or not self.accept(match[group]):
                return match[0]
            hits[self.rule] = hits.get(self.rule, 0) + 1
            return f"{match.string[match.start() : start]}{MASK}{match.string[end : match.end()]}"

        return self.expression.sub(replace, text)


class Rules:
    """The rules in force: names, and patterns in the order in which they apply."""

    def __init__(self, settings: ProducerSettings) -> None:
        """Compile the rules.

        Raises:
            ProducerMisconfigured: A pattern is no regular expression, or a rule to switch off does not exist.
        """
        self._parts = (*_PARTS, *(squash(n) for n in settings.mask_names))
        self._allowed = frozenset((*_ALLOWED, *(squash(n) for n in settings.mask_allow)))
        self._part = re.compile("|".join(re.escape(p) for p in self._parts))
        self._word = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(_WORDS)})(?![a-z0-9])")
        self.patterns = _patterns(settings)
        self._custom = [p for p in self.patterns if not p.needles]
        self._needles = tuple(n for p in self.patterns for n in p.needles)
        self.cards = "card" not in settings.mask_rules_off
        self.is_secret = lru_cache(maxsize=4096)(self._is_secret)

    def _is_secret(self, name: str) -> bool:
        name = unquote_plus(name)
        last = re.split(r"[.\[\]/:]+", name.rstrip("[]"))[-1]
        whole, end = squash(name), squash(last)
        if whole in self._allowed or end in self._allowed:
            return False
        return bool(self._part.search(whole)) or last.strip("_- ").lower() in _WORDS

    @property
    def secret_names(self) -> Sequence[str]:
        """Parts and words that make a name secret, without separators and in lower case."""
        return (*self._parts, *_WORDS)

    def may_match(self, text: str) -> bool:
        """Say cheaply whether anything in a text can be secret; True is only a suspicion.

        Args:
            text: Values and names, one a line. Percent and backslash escapes are always suspicious.
        """
        if "%" in text or "\\" in text or (self.cards and has_long_number(text)):
            return True
        lowered = text.lower()
        squashed = squash(lowered)
        return (
            _any_in(self._parts, squashed)
            or (_any_in(_WORDS, lowered) and self._word.search(lowered) is not None)
            or (_any_in(self._needles, lowered) and any(p.may_match(text, lowered) for p in self.patterns))
            or any(p.may_match(text, lowered) for p in self._custom)
        )

    def mask_patterns(self, text: str, hits: Hits) -> str:
        """Mask everything that looks like a secret wherever it stands."""
        lowered = text.lower()
        for pattern in self.patterns:
            if not pattern.needles or pattern.may_match(text, lowered):
                text = pattern.mask(text, hits)
        return mask_cards(text, MASK, hits) if self.cards and has_long_number(text) else text


def _any_in(needles: Sequence[str], text: str) -> bool:
    # A plain loop: a generator would cost as much again, and this runs for every event.
    for needle in needles:  # noqa: SIM110
        if needle in text:
            return True
    return False


def squash(name: str) -> str:
    """Return a name in lower case without separators: ``X-Api_Key`` -> ``xapikey``."""
    return name.lower().translate(_SEPARATORS)


def _patterns(settings: ProducerSettings) -> Sequence[Pattern]:
    problems = [
        f"producer.mask_rules_off: {rule!r} is not one of {', '.join(BUILT_IN)}"
        for rule in settings.mask_rules_off
        if rule not in BUILT_IN
    ]
    patterns = [
        Pattern(rule, needles, re.compile(text, re.DOTALL), *((_credentials,) if rule == "basic" else ()))
        for rule, (needles, text) in _PATTERNS.items()
        if rule not in settings.mask_rules_off
    ]
    for rule, text in settings.mask_patterns.items():
        try:
            patterns.append(Pattern(rule, (), re.compile(text)))
        except re.error as error:
            problems.append(f"producer.mask_patterns.{rule}: {text!r} is not a regular expression: {error}")
    if problems:
        raise ProducerMisconfigured(problems)
    return patterns
