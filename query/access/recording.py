"""Reads of the log as something to be recorded: what is told about one, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from query.access.token import Token
from query.condition import find_filter
from query.expression import required_terms, terms
from query.period import parse_moment
from query.question import Question

#: Before and after of one setting; None is a value that was, or is, not there.
BeforeAfter = tuple[object, object]
#: How somebody signed in.
SignInMethod = Literal["token", "oidc"]
AccessCode = Literal["access.search", "access.view", "access.tail", "access.export", "access.download", "access.denied"]
_BOUNDS = {"since": ">=", "until": "<"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and from where.

    Attributes:
        request_id: Id of the request.
        ip: Address of the client; empty when it is not known.
        user_agent: What it says it is.
        purpose: Why it reads, in its own words.
        ticket: Case or order that it reads for.
    """

    request_id: str
    ip: str = ""
    user_agent: str = ""
    purpose: str = ""
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """One read of the log: names of filters, never the values that were looked for.

    Attributes:
        code: Event code.
        token: By which token.
        caller: By whom.
        resource: Route that was read, for example ``/api/v1/events``.
        filter_fields: Names of the filters used, in alphabetical order.
        window: Period asked for, ``""`` for all times.
        query_hash: Digest that is the same for the same question.
        rows: Rows returned; None when they were not counted.
        target_id: Event that was looked at, ``""`` for none.
        reason: Why it was refused, ``""`` when it was not.
        target_type: Kind of what was looked at, when it is no event.
    """

    code: AccessCode
    token: Token
    caller: Caller
    resource: str
    filter_fields: tuple[str, ...] = ()
    window: str = ""
    query_hash: str = ""
    rows: int | None = None
    target_id: str = ""
    reason: str = ""
    target_type: str = "event"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of how the log is administered: a token made or revoked, a search saved.

    Attributes:
        code: Event code of the kind ``access``.
        caller: From where.
        target_type: Kind of what was changed, for example ``api_token``.
        target_id: Its id.
        target_name: Its name.
        by: Whose rights allowed it; None on the command line.
        operator: Account of whoever ran the command; ``""`` over HTTP.
        values: What was changed, by name; never a secret.
        reason: Why it was refused, ``""`` when it was not.
    """

    code: str
    caller: Caller
    target_type: str
    target_id: str
    target_name: str = ""
    by: Token | None = None
    operator: str = ""
    values: Mapping[str, BeforeAfter] = field(default_factory=dict)
    reason: str = ""


class Recorder(Protocol):
    """Keeps what was read and changed. No method raises or waits: a read never fails because its record is not kept."""

    def read(self, read: Read) -> None:
        """Record a read, or one that was refused."""
        ...

    def changed(self, change: Change) -> None:
        """Record a change of how the log is administered, or one that was refused."""
        ...

    def sign_in_failed(self, caller: Caller, reason: str, token_id: str, method: SignInMethod = "token") -> None:
        """Record a sign-in that was refused.

        Args:
            caller: By whom.
            reason: Of a token: unknown, revoked or expired; else a sentence.
            token_id: Recognisable beginning of the secret, or the name of the person; ``""`` for none.
            method: How it was tried.
        """
        ...

    def signed_in(self, caller: Caller, token: Token, method: SignInMethod) -> None:
        """Record the beginning of a session of the page."""
        ...

    def signed_out(self, caller: Caller, token: Token, method: SignInMethod) -> None:
        """Record that somebody ended a session of the page."""
        ...

    def obstacle(self) -> str:
        """Return why nothing can be recorded now, ``""`` when it can."""
        ...


class NoRecorder:
    """Keeps nothing: recording is switched off."""

    def read(self, read: Read) -> None:
        """Forget a read."""

    def changed(self, change: Change) -> None:
        """Forget a change."""

    def sign_in_failed(self, caller: Caller, reason: str, token_id: str, method: SignInMethod = "token") -> None:
        """Forget a failed sign-in."""

    def signed_in(self, caller: Caller, token: Token, method: SignInMethod) -> None:
        """Forget a sign-in."""

    def signed_out(self, caller: Caller, token: Token, method: SignInMethod) -> None:
        """Forget a sign-out."""

    def obstacle(self) -> str:
        """Return that nothing is in the way of forgetting."""
        return ""


def filter_names(question: Question) -> tuple[str, ...]:
    """Return the names of the filters of a question."""
    return tuple(sorted({find_filter(term).name for term in terms(question.expression)}))


def window(question: Question) -> str:
    """Return the period that every match lies in, in UTC: ``>= 2026-01-31T00:00:00Z, < …``; ``""`` for all times."""
    found = ((find_filter(t).name, t.value) for t in required_terms(question.expression))
    bounds = ((_BOUNDS[name], parse_moment(value, question.clock)) for name, value in found if name in _BOUNDS)
    return ", ".join(f"{sign} {moment.isoformat().replace('+00:00', 'Z')}" for sign, moment in bounds)
