"""The cheap look at a text: most texts hold nothing to mask, and many of them come again and again."""

from __future__ import annotations

from collections.abc import Sequence

from producers.masking.rules import Rules

#: Capital letters become small, digits become zeros: the needles below are looked for in what is left.
_FOLD = bytes.maketrans(bytes(range(65, 91)) + b"0123456789", bytes(range(97, 123)) + b"0" * 10)
_SEPARATORS = b"_-. +"
#: Each name and word of the rules contains one of these, or is added when the rules are made.
_COARSE = ("pass", "secret", "token", "key", "authoriz", "credential", "cookie", "card", "cv", "sig")
#: Each pattern of the rules contains one of these when separators are gone and letters are small, …
_LOOKS = ("bearer", "basic", "klive", "ktest", "glpat", "xox", "0" * 13)
#: … or one of these as it is written; percent and backslash hide names and values. U+212A and U+0130 become ASCII
#: letters in lower case.
_RAW = ("%", "\\", "eyJ", "AKIA", "ASIA", "AIza", "SG.", "\u212a", "\u0130")
_GITHUB = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_")

_LONGEST = 256
_MOST = 8192


class CleanTexts:
    """Knows texts that masking would not change. Thread-safe.

    What was found clean is remembered, up to 8,192 texts of 256 characters: user agents, states and names repeat.
    A text that holds a secret is never kept.

    Attributes:
        known: Texts that were found clean lately; look here first, a look at the text costs ten times as much.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._needles = _needles(rules)
        self.known: set[str] = set()

    def has(self, text: str) -> bool:
        """Say whether nothing in a text can be secret; False is only a suspicion."""
        if self._suspicious(text) and self._rules.may_match(text):
            return False
        if len(text) <= _LONGEST:
            if len(self.known) >= _MOST:
                self.known.clear()
            self.known.add(text)
        return True

    def _suspicious(self, text: str) -> bool:
        if not self._needles:
            return True
        # Latin-1 only gives the bytes a text's methods, whose search is faster than that of bytes.
        folded = text.encode(errors="surrogatepass").translate(_FOLD, _SEPARATORS).decode("latin-1")
        for needle in self._needles:
            if needle in folded:
                return True
        for needle in _RAW:
            if needle in text:
                return True
        return ("://" in text and "@" in text) or ("_" in text and any(n in text for n in _GITHUB))


def _needles(rules: Rules) -> Sequence[str]:
    """Return what is looked for in folded texts; nothing when patterns of the user decide, which contain who knows what."""
    if any(not p.needles for p in rules.patterns):
        return ()
    names = [n for n in rules.secret_names if not any(c in n for c in _COARSE)]
    if not all(n.isascii() for n in names):  # their capital letters are not folded
        return ()
    folded = [n.encode().translate(_FOLD, _SEPARATORS).decode() for n in names]
    return (*_COARSE, *folded, *_LOOKS)
