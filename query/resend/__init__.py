"""Sending webhooks again: asked of the service that sent them, once for each idempotency key, and audited."""

from query.resend.endpoint import Endpoint
from query.resend.errors import (
    InDoubt,
    LedgerUnavailable,
    NoRoute,
    NotPossible,
    NotRecorded,
    ResendError,
    SendoutAmbiguous,
    SendoutUnknown,
    Underway,
)
from query.resend.ledger import ResendLedger
from query.resend.promise import Trail, Way
from query.resend.request import Ask, Asker, AskInvalid, Command, Outcome, Resend
from query.resend.resender import FAILED, Resender
from query.resend.sendout import Sendout, find_sendout

__all__ = [
    "FAILED",
    "Ask",
    "AskInvalid",
    "Asker",
    "Command",
    "Endpoint",
    "InDoubt",
    "LedgerUnavailable",
    "NoRoute",
    "NotPossible",
    "NotRecorded",
    "Outcome",
    "Resend",
    "ResendError",
    "ResendLedger",
    "Resender",
    "Sendout",
    "SendoutAmbiguous",
    "SendoutUnknown",
    "Trail",
    "Underway",
    "Way",
    "find_sendout",
]
