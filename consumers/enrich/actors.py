"""The actor directory: who is behind an actor id, followed live from the compacted topic."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Mapping
from typing import Literal, NamedTuple

DirectoryState = Literal["loading", "ready", "stale", "disabled", "failed"]
#: ``actor_directory_status`` of an event whose actor has no card.
AbsenceStatus = Literal["not_found", "disabled", "failed"]


class ActorCard(NamedTuple):
    """What the directory knows of an actor; what is unknown is empty.

    A tuple, because a worker keeps up to a million of them (about 0.6 KB each).

    Attributes:
        login: Login name.
        name: Full name.
        email: E-mail.
        department: Department.
        avatar_url: Picture.
        status: ``active``, ``deactivated``, ``deleted`` or ``unknown``.
        roles: Roles.
    """

    login: str = ""
    name: str = ""
    email: str = ""
    department: str = ""
    avatar_url: str = ""
    status: str = ""
    roles: tuple[str, ...] = ()

    @classmethod
    def of(cls, record: Mapping[str, object]) -> ActorCard:
        """Read a decoded ``Actor`` record; strings that many cards share are kept once."""
        texts = {name: str(record.get(name) or "") for name in cls._fields if name != "roles"}
        roles = record.get("roles")
        shared = {name: sys.intern(texts[name]) for name in ("department", "status")}
        names = (sys.intern(str(role)) for role in roles) if isinstance(roles, Iterable) else ()
        return cls(**(texts | shared), roles=tuple(names))


_EMPTY: Mapping[str, ActorCard] = {}


class ActorDirectory:
    """Current actor cards by tenant and actor id.

    One thread applies changes while another one looks up: each change is a single step of a dictionary, a look-up sees
    a card before or after it, never half of it.

    Args:
        max_actors: Cards kept at most; further ones are counted in ``refused`` and not kept.
        enabled: False for a worker without an actors topic.

    Attributes:
        version: Rises with every change that took effect.
        refused: Cards that were not kept because of ``max_actors``.
    """

    def __init__(self, max_actors: int, *, enabled: bool = True) -> None:
        self.state: DirectoryState = "loading" if enabled else "disabled"
        self.version = 0
        self.refused = 0
        self._max_actors = max_actors
        self._count = 0
        self._tenants: dict[str, dict[str, ActorCard]] = {}
        self._positions: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return self._count

    def apply(
        self, tenant_id: str, actor_id: str, card: ActorCard | None, topic_partition: Hashable, offset: int
    ) -> bool:
        """Take in one record of the actors topic.

        Records of a partition take effect once and in order: one that was applied before, as after re-reading the
        topic, changes nothing, so that no card ever goes back in time.

        Args:
            tenant_id: Owner of the card.
            actor_id: Whose card it is.
            card: The new card, or None when the directory removed the actor (tombstone).
            topic_partition: Where the record comes from; must differ for a re-created topic.
            offset: Its offset there.

        Returns:
            Whether the directory changed.
        """
        if offset <= self._positions.get(topic_partition, -1):
            return False
        self._positions[topic_partition] = offset
        changed = self._remove(tenant_id, actor_id) if card is None else self._keep(tenant_id, actor_id, card)
        self.version += changed
        return changed

    @property
    def absence(self) -> AbsenceStatus:
        """What it means that an actor has no card.

        While the directory is incomplete it is ``failed``, not ``not_found``: nobody can know.
        """
        if self.state == "disabled":
            return "disabled"
        return "not_found" if self.state == "ready" and not self.refused else "failed"

    def look_up(self, tenant_id: str, actor_id: str) -> ActorCard | None:
        """Return the card of an actor, None when there is none (``absence`` says what that means)."""
        return self._tenants.get(tenant_id, _EMPTY).get(actor_id)

    def look_up_all(self, tenant_ids: Iterable[str], actor_ids: Iterable[str]) -> list[ActorCard | None]:
        """Return the card of each pair of tenant and actor, None where there is none."""
        # Two bound methods and no call of our own per pair: batches may bring as many pairs as rows.
        tenants, empty = self._tenants.get, _EMPTY
        return [tenants(t, empty).get(a) for t, a in zip(tenant_ids, actor_ids, strict=True)]

    def _keep(self, tenant_id: str, actor_id: str, card: ActorCard) -> bool:
        cards = self._tenants.get(tenant_id)
        known = cards is not None and actor_id in cards
        if not known and self._count >= self._max_actors:
            self.refused += 1
            return False
        if cards is None:
            cards = self._tenants[tenant_id] = {}
        cards[actor_id] = card
        self._count += not known
        return True

    def _remove(self, tenant_id: str, actor_id: str) -> bool:
        cards = self._tenants.get(tenant_id)
        if cards is None or cards.pop(actor_id, None) is None:
            return False
        self._count -= 1
        if not cards:
            # The reader holds no reference over a change, so an empty tenant can go.
            del self._tenants[tenant_id]
        return True
