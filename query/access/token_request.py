"""A token as somebody asks for it: by page, by API, in the same words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from query.access.errors import TokenInvalid
from query.access.scope import Scope

#: Days that a token may be good for: a century, as on the command line.
MOST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a new token shall be.

    Attributes:
        name: What it is for.
        role: A key of ``ROLES``.
        tenants: Tenants that it reaches.
        all_tenants: It reaches every tenant; said, so that forgetting the tenants gives nothing away.
        projects: Only these projects.
        products: Only these products.
        record_kinds: Only these kinds of records.
        actor_id: Only what this actor did.
        days: Days until it expires; None for never.
    """

    name: str
    role: str
    tenants: tuple[str, ...] = ()
    all_tenants: bool = False
    projects: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    record_kinds: tuple[str, ...] = ()
    actor_id: str = ""
    days: int | None = None

    def scope(self) -> Scope:
        """Return its scope.

        Raises:
            TokenInvalid: It contradicts itself.
        """
        if bool(self.tenants) == self.all_tenants:
            raise TokenInvalid("name the tenants that it reaches, or say that it reaches all of them; not both")
        return Scope(self.tenants, self.projects, self.products, self.record_kinds, self.actor_id)

    def expires_at(self) -> datetime | None:
        """Return its end when it is made now, None for never.

        Raises:
            TokenInvalid: That is no number of days that a token can be good for.
        """
        if self.days is None:
            return None
        if not 1 <= self.days <= MOST_DAYS:
            raise TokenInvalid(f"{self.days} days; expected 1 to {MOST_DAYS}, or nothing for a token without end")
        return datetime.now(UTC) + timedelta(days=self.days)
