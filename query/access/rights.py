"""What a reader may do: rights, and the roles that bundle them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Right(StrEnum):
    """One thing that a role allows."""

    EVENTS = "events"
    """Read events within the scope."""
    PERSONAL = "personal"
    """See fields with personal data in clear, and filter and sort by them."""
    BODIES = "bodies"
    """See request and response bodies and raw messages in clear."""
    LEDGER = "ledger"
    """Read dead letters and the manifest of batches."""
    EXPORT = "export"
    """Make and fetch exports."""
    RESEND = "resend"
    """Ask for webhooks to be sent again."""
    ERASE = "erase"
    """Erase a person's data."""
    TOKENS = "tokens"
    """Administer the log: tokens and settings."""


#: Role -> what it allows. A role says what is shown of a record, the scope of a token which records.
ROLES: Mapping[str, frozenset[Right]] = {
    "own_events": frozenset({Right.EVENTS, Right.PERSONAL}),
    "auditor": frozenset({Right.EVENTS, Right.PERSONAL, Right.BODIES}),
    "operator": frozenset({Right.EVENTS, Right.PERSONAL, Right.BODIES, Right.RESEND}),
    "administrator": frozenset(Right) - {Right.ERASE},
    "exporter": frozenset({Right.EVENTS, Right.EXPORT}),
    "erasure_officer": frozenset({Right.EVENTS, Right.PERSONAL, Right.ERASE}),
}
#: The role that reads nothing but what one actor did.
OWN_EVENTS = "own_events"
