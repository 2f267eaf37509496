"""What can go wrong when people sign in at a provider, by what they should do.

OidcError
├── ProviderUnavailable  try again later, or sign in with a token
└── SignInRefused        begin again; ``reason`` says what was wrong
    └── NoRole           ask for what a rule asks for
"""

from __future__ import annotations


class OidcError(Exception):
    """Base of everything that query.oidc raises."""


class ProviderUnavailable(OidcError):
    """The provider gives no answer, or none that can be used."""


class SignInRefused(OidcError):
    """What came back from the provider proves nothing.

    Attributes:
        reason: What was wrong, as a sentence without the values of tokens.
        login: Name of the person, as far as the provider vouches for it.
    """

    def __init__(self, reason: str, login: str = "") -> None:
        super().__init__(reason)
        self.reason, self.login = reason, login


class NoRole(SignInRefused):
    """The person is known, and no rule gives a role.

    Attributes:
        wanted: What rules ask for: claim and value.
    """

    def __init__(self, login: str, wanted: tuple[tuple[str, str], ...]) -> None:
        super().__init__("no rule gives this person a role", login)
        self.wanted = wanted
