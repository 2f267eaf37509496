"""A request to send a webhook again: who asks, what is asked of the service, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

import orjson

from query.access.identity import Identity
from query.access.token import Token
from query.resend.errors import ResendError
from query.resend.sendout import Sendout

#: What a command calls itself, for receivers that get other commands too.
COMMAND_TYPE, COMMAND_VERSION = "webhook.resend", 1
MAX_REASON_CHARACTERS = 500
MAX_KEY_CHARACTERS = 200
_NAMESPACE = UUID("5d0a8f53-6f4e-4d0b-9a0b-6a6f1d1f7c11")

#: accepted: the service took the request. refused: it said no. unanswered: no usable answer, and it may have been
#: carried out all the same. withdrawn: given up before anything was asked.
State = Literal["claimed", "accepted", "refused", "unanswered", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks.

    Attributes:
        type: Kind of actor, as in events: user or api_token.
        id: Its id.
        name: Name to show.
        ip: Address of the client, empty when it is not known.
        origin: How it asks: api, dashboard or other.
    """

    type: str
    id: str
    name: str
    ip: str = ""
    origin: str = "other"

    @classmethod
    def of(cls, token: Token, ip: str, origin: str) -> Asker:
        """Return the asker of a token: the person who signed in, the actor whose token it is, or the token."""
        if isinstance(token, Identity):
            return cls("user", token.subject, token.name, ip, origin)
        own = token.scope.actor_id
        return cls("user" if own else "api_token", own or token.token_id, token.name, ip, origin)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for one sendout.

    Attributes:
        by: Who asks.
        reason: Why, in words.
        key: Idempotency key: one key asks for one sendout once, however often it is repeated.
        force: Ask even though the state of the sendout does not call for it.
        request_id: Id of the request in which it is asked.
        token_id: Token by which it is asked, empty for the command line.
    """

    by: Asker
    reason: str
    key: str
    force: bool = False
    request_id: str = ""
    token_id: str = ""

    def __post_init__(self) -> None:
        """Check the request.

        Raises:
            AskInvalid: Reason or key are missing or too long.
        """
        if not 1 <= len(self.reason.strip()) <= MAX_REASON_CHARACTERS:
            raise AskInvalid("reason", f"1 to {MAX_REASON_CHARACTERS} characters that say why")
        if not 1 <= len(self.key) <= MAX_KEY_CHARACTERS or not self.key.isprintable():
            raise AskInvalid("idempotency_key", f"1 to {MAX_KEY_CHARACTERS} printable characters")


class AskInvalid(ResendError):
    """A request is not complete.

    Attributes:
        field: What is wrong.
        expected: What it should be.
    """

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field, self.expected = field, expected


@dataclass(frozen=True, slots=True)
class Command:
    """What a service is asked to do, the same in every form of delivery.

    Attributes:
        resend_id: Id of the request; the same for the same sendout and idempotency key.
        sendout: What is to be sent again.
        ask: Who asks, and why.
        asked_at: When.
    """

    resend_id: UUID
    sendout: Sendout
    ask: Ask
    asked_at: datetime

    def body(self) -> bytes:
        """Return the command as JSON; docs/resend.md describes its members."""
        return orjson.dumps({**self._what(), **self._why()}, option=orjson.OPT_UTC_Z)

    def _what(self) -> dict[str, Any]:
        sendout = self.sendout
        return {
            "type": COMMAND_TYPE,
            "version": COMMAND_VERSION,
            "resend_id": str(self.resend_id),
            "sendout_id": sendout.sendout_id,
            "tenant_id": sendout.tenant_id,
            "project_id": sendout.project_id,
            "source_service": sendout.source,
            "source_id": sendout.source_id,
            "webhook_type": sendout.event_type,
            "request_id": sendout.request_id,
            "event_id": sendout.event_id,
            "causation_id": sendout.causation_id,
            "status": sendout.status,
            "attempt": sendout.attempt,
        }

    def _why(self) -> dict[str, Any]:
        by = self.ask.by
        return {
            "asked_by": {"type": by.type, "id": by.id, "name": by.name},
            "asked_at": self.asked_at,
            "reason": self.ask.reason.strip(),
            "forced": self.ask.force,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        state: accepted, refused, unanswered or withdrawn.
        detail: The same in a sentence.
        http_status: Last answer of the endpoint; None without one.
        attempts: Calls made.
    """

    state: State
    detail: str
    http_status: int | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Resend:
    """A request with its outcome, as the ledger keeps it.

    Attributes:
        resend_id: Its id.
        tenant_id: Tenant of the sendout.
        sendout_id: The sendout.
        key: Idempotency key.
        asked_at: When it was asked.
        by: Who asked; without address.
        reason: Why.
        forced: Whether the state of the sendout was passed over.
        route: Name of the route.
        outcome: What became of it.
        repeated: The key had been used before: this is the outcome of then, and nothing was asked now.
    """

    resend_id: UUID
    tenant_id: str
    sendout_id: str
    key: str
    asked_at: datetime
    by: Asker
    reason: str
    forced: bool
    route: str
    outcome: Outcome
    repeated: bool = False


def resend_id(sendout: Sendout, key: str) -> UUID:
    """Return the id that a request for a sendout with a key always has."""
    return uuid5(_NAMESPACE, orjson.dumps([sendout.tenant_id, sendout.sendout_id, key]).decode())
