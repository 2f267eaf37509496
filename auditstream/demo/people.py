"""Who the demo's story is about: a company, its people and what acts for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from producers import Actor, Origin

TENANT, PROJECT = "acme", "acme-shop"
#: Browsers of the story's people.
_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
_CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
_PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the story, or something that acts.

    Attributes:
        id: Id of the actor.
        name: Name.
        ip: Usual address; all of them belong to documentation (RFC 5737, RFC 3849).
        user_agent: Usual client.
        department: Department, empty for a machine.
        roles: Roles.
        type: Kind of the actor.
        status: Whether the actor is still there.
        origin: How the platform is called.
    """

    id: str
    name: str
    ip: str
    user_agent: str
    department: str = ""
    roles: tuple[str, ...] = ()
    type: str = "user"
    status: str = "active"
    origin: str = "dashboard"

    @property
    def login(self) -> str:
        """Login name, the e-mail address of a person."""
        return f"{self.id.removeprefix('u-')}@{TENANT}.example" if self.type == "user" else ""

    @property
    def actor(self) -> Actor:
        """The actor of an event."""
        key = self.id if self.type == "api_token" else None
        return Actor(id=self.id, type=self.type, login=self.login or None, roles=self.roles, access_key_id=key)

    def from_(self, ip: str = "", user_agent: str = "") -> Origin:
        """Return where an event comes from: the usual place unless another is given."""
        return Origin(kind=self.origin, ip=ip or self.ip, user_agent=user_agent or self.user_agent)

    def card(self, now: datetime) -> Mapping[str, Any]:
        """Return the card in the directory of actors, as an Avro record."""
        return {
            "tenant_id": TENANT,
            "actor_id": self.id,
            "actor_type": self.type,
            "login": self.login,
            "name": self.name,
            "email": self.login,
            "department": self.department,
            "avatar_url": "",
            "status": self.status,
            "roles": list(self.roles),
            "updated_at": int(now.timestamp() * 1e6),
        }


ANN = Person("u-ann", "Ann Lee", "192.0.2.17", _FIREFOX, "Marketing", ("editor",))
BEN = Person("u-ben", "Ben Novak", "203.0.113.45", _PHONE, "CRM", ("manager",), status="deactivated")
GRACE = Person("u-grace", "Grace Okafor", "2001:db8:4::9", _CHROME, "Security", ("admin", "auditor"))
SHOP = Person("key-shop-sync", "shop sync", "198.51.100.20", "shop-sync/4.2", "", ("api",), "api_token", origin="api")
SCHEDULER = Person("scheduler", "scheduler", "198.51.100.5", "", "", (), "system", origin="scheduler")


def people() -> Iterator[Person]:
    """Return everybody who has a card."""
    yield from (ANN, BEN, GRACE, SHOP)
