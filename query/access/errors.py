"""What can go wrong with the right to read, by what the caller should do about it.

AccessError
├── SignInFailed           use another token: ``reason`` says what is wrong with this one
├── Forbidden              ask somebody with the right ``right``, or leave out ``what``
├── TokenInvalid           correct the token that is to be made
├── TokenUnknown           there is no token of this id
└── TokenStoreUnavailable  the database gives no answer: wait
"""

from __future__ import annotations

from query.access.rights import Right


class AccessError(Exception):
    """Base of everything that query.access raises."""


class SignInFailed(AccessError):
    """A secret opens nothing.

    Attributes:
        reason: unknown, revoked or expired.
        token_id: Recognisable beginning of the secret, ``""`` when it has none; never the secret.
    """

    def __init__(self, reason: str, token_id: str = "") -> None:
        super().__init__(f"the token is {reason}")
        self.reason, self.token_id = reason, token_id


class Forbidden(AccessError):
    """The role or the scope of a token does not allow a read.

    Attributes:
        right: The right that is missing; None when the scope is in the way.
        what: What was asked for.
    """

    def __init__(self, what: str, right: Right | None = None, *, instead: str = "") -> None:
        need = f"the right {right.value!r} is needed" if right else "it lies outside of the scope of the token"
        super().__init__(f"{what}: {need}" + (f"; {instead}" if instead else ""))
        self.what, self.right = what, right


class TokenInvalid(AccessError):
    """A token that is to be made contradicts itself."""


class TokenUnknown(AccessError):
    """There is no such token.

    Attributes:
        token_id: What was looked for.
    """

    def __init__(self, token_id: str) -> None:
        super().__init__(f"there is no token {token_id}")
        self.token_id = token_id


class TokenStoreUnavailable(AccessError):
    """The database with the tokens gives no answer, or refuses."""
