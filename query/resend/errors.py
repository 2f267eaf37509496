"""What can be in the way of a re-send, by what the caller should do about it.

ResendError
├── SendoutUnknown      name another sendout: there is none of this id within reach
├── SendoutAmbiguous    name the tenant: several have a sendout of this id
├── NotPossible         its state does not ask for it, or somebody has asked already: force it, knowingly
├── NoRoute             add a route to the setting ``resend.routes``
├── Underway            wait: the same sendout is being asked for at this moment
├── InDoubt             look at the sendout: an earlier request with this key ended without an outcome
├── NotRecorded         nothing was asked, since the request could not be audited
└── LedgerUnavailable   the database gives no answer: wait, then repeat with the same key
"""

from __future__ import annotations


class ResendError(Exception):
    """Base of everything that query.resend raises."""


class SendoutUnknown(ResendError):
    """There is no sendout of an id within reach."""

    def __init__(self, sendout_id: str) -> None:
        super().__init__(f"there is no webhook sendout {sendout_id}: never stored, past its retention, or out of reach")


class SendoutAmbiguous(ResendError):
    """Several tenants have a sendout of an id.

    Attributes:
        tenants: Their ids.
    """

    def __init__(self, sendout_id: str, tenants: tuple[str, ...]) -> None:
        super().__init__(f"{len(tenants)} tenants have a sendout {sendout_id}: name one of {', '.join(tenants)}")
        self.tenants = tenants


class NotPossible(ResendError):
    """A sendout is in no state to be sent again without force."""


class NoRoute(ResendError):
    """No route of the settings takes a sendout."""

    def __init__(self, tenant_id: str, source: str, event_type: str) -> None:
        super().__init__(
            f"no route takes a webhook of tenant {tenant_id!r}, source {source!r} and type {event_type!r}; "
            "add one to the setting resend.routes"
        )


class Underway(ResendError):
    """The sendout is being asked for at this moment."""


class InDoubt(ResendError):
    """A request ended without a known outcome; repeating its key never asks a second time."""


class NotRecorded(ResendError):
    """A request could not be audited, so nothing was asked."""


class LedgerUnavailable(ResendError):
    """The database with the requests gives no answer, or refuses."""
