"""Who and what the generated load is about: tenants, people, addresses, agents, objects; all from one random source."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any, TypeVar

from schemas.catalogue import Catalogue, CatalogueEntry

Record = dict[str, Any]
_T = TypeVar("_T")

_FIRST = [
    "Anna",
    "Ben",
    "Chloé",
    "Dmitri",
    "Elif",
    "Farid",
    "Grace",
    "Hana",
    "Ivan",
    "João",
    "Kenji",
    "Lena",
    "Mira",
    "Noor",
    "Olga",
    "Priya",
    "Quinn",
    "Rosa",
    "Sven",
    "Wei",
]
_LAST = [
    "Adler",
    "Becker",
    "Costa",
    "Dubois",
    "Evans",
    "Fischer",
    "García",
    "Haddad",
    "Ito",
    "Jensen",
    "Kowalska",
    "Lindqvist",
    "Meyer",
    "Novak",
    "Okafor",
    "Petrov",
]
_DEPARTMENTS = ("Marketing", "CRM", "Support", "Finance", "Engineering", "Security")
_ROLES = ("viewer", "editor", "manager", "admin", "auditor")
#: Two ordinary words, a left-to-right and a right-to-left script: what operators name their objects.
_NAMES = ("Summer sale", "Welcome back", "Весенняя акция", "夏のセール", "عرض الصيف", "Black Friday 🎁", "Re-engage Q3")
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
    "python-requests/2.32.3",
    "Go-http-client/2.0",
)
_ORIGINS = ("dashboard", "dashboard", "dashboard", "api", "integration", "mobile", "sdk", "scheduler", "mcp")
_PUBLIC_FIRST_OCTETS = (5, 31, 46, 62, 77, 81, 88, 91, 109, 141, 151, 178, 185, 193, 212)


@dataclass(frozen=True, slots=True)
class Person:
    """One actor: the fields of its events, and its card in the directory."""

    fields: Record
    card: Record


class Zipf:
    """Draws from a sequence so that the n-th item comes with a weight of 1/n."""

    def __init__(self, random: Random, items: Sequence[Any]) -> None:
        self._random, self._items = random, items
        self._cumulative = list(accumulate(1 / n for n in range(1, len(items) + 1)))

    def draw(self) -> Any:  # noqa: ANN401 - whatever it was given
        """Return one item."""
        return self._items[bisect(self._cumulative, self._random.random() * self._cumulative[-1])]


class World:
    """The pools that events are put together from. The same random source gives the same world."""

    def __init__(self, random: Random, catalogue: Catalogue, *, tenants: int, actors: int) -> None:
        """Build the pools.

        Args:
            random: Source of every choice.
            catalogue: Where the event codes come from.
            tenants: Number of tenants; the first has the largest share.
            actors: Number of actors of each tenant.
        """
        self.random = random
        self.names = _NAMES
        self.tenants = [f"tenant-{n:03d}" for n in range(1, tenants + 1)]
        self.people = {t: [self._person(t, n) for n in range(actors)] for t in self.tenants}
        self._tenants = Zipf(random, self.tenants)
        self._people = {t: Zipf(random, people) for t, people in self.people.items()}
        self.entries: dict[str, list[CatalogueEntry]] = {}
        for entry in catalogue:
            self.entries.setdefault(entry.record_kind, []).append(entry)

    def pick(self, items: Sequence[_T]) -> _T:
        """Return one item of a sequence, all alike likely."""
        return items[int(self.random.random() * len(items))]

    def number(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``."""
        return low + int(self.random.random() * (high - low + 1))

    def code(self, prefix: str) -> str:
        """Return an identifier that does not come twice, for all practical purposes."""
        return f"{prefix}_{self.random.getrandbits(64):016x}"

    def event(self, kind: str, code: str) -> Record:
        """Return the envelope of an event: tenant, actor, origin, code."""
        tenant = self._tenants.draw()
        person: Person = self._people[tenant].draw()
        return {
            "schema_version": "1.0",
            "record_kind": kind,
            "event_code": code,
            "tenant_id": tenant,
            "project_id": f"{tenant}-p{self.number(1, 3)}",
            "source_service": f"{kind}-service",
            "request_id": self.code("req"),
            "outcome": "success",
            **person.fields,
        }

    def _person(self, tenant: str, n: int) -> Person:
        first, last = self.pick(_FIRST), self.pick(_LAST)
        login = f"{first}.{last}{n}@{tenant}.example".lower()
        kind = "user" if n % 8 else self.pick(("api_token", "service", "support"))
        card = {
            "tenant_id": tenant,
            "actor_id": f"{tenant}-a{n:04d}",
            "actor_type": kind,
            "login": login,
            "name": f"{first} {last}",
            "email": login,
            "department": self.pick(_DEPARTMENTS),
            "avatar_url": f"https://cdn.example/avatars/{tenant}/{n}.png",
            "status": "active" if n % 20 else "deactivated",
            "roles": [self.pick(_ROLES)],
        }
        return Person(fields=self._origin() | {"actor_type": kind, "actor_id": card["actor_id"]}, card=card)

    def _origin(self) -> Record:
        address = self._address()
        return {
            "origin": self.pick(_ORIGINS),
            "ip": address,
            "ip_chain": [address, f"10.0.0.{self.number(1, 250)}"],
            "ip_trusted_hops": 1,
            "user_agent": self.pick(_AGENTS),
            "session_id": self.code("ses"),
        }

    def _address(self) -> str:
        share = self.random.random()
        if share < 0.15:
            return f"2a02:{self.number(0x1000, 0xFFFF):x}:{self.number(0, 0xFFFF):x}::{self.number(1, 0xFFFF):x}"
        if share < 0.2:
            return f"10.{self.number(0, 255)}.{self.number(0, 255)}.{self.number(1, 254)}"
        return f"{self.pick(_PUBLIC_FIRST_OCTETS)}.{self.number(0, 255)}.{self.number(0, 255)}.{self.number(1, 254)}"
