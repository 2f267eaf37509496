"""Under which rights the rows of an export were read, so that it is handed out to nobody who may see less."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from query.access.rights import Right
from query.access.token import Token

_LISTS = ("tenants", "projects", "products", "record_kinds")


@dataclass(frozen=True, slots=True)
class ReadRights:
    """What decides which rows an export holds, and what is shown of them; an empty list does not narrow.

    Attributes:
        tenants: Ids of tenants.
        projects: Ids or slugs of projects.
        products: Functional areas.
        record_kinds: Kinds of records.
        actor_id: Only what this actor did; empty for all actors.
        personal: Whether personal data is shown.
    """

    tenants: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    record_kinds: tuple[str, ...] = ()
    actor_id: str = ""
    personal: bool = True

    @classmethod
    def of(cls, token: Token) -> ReadRights:
        """Return the rights of a token."""
        scope = token.scope
        lists = {name: tuple(getattr(scope, name)) for name in _LISTS}
        return cls(**lists, actor_id=scope.actor_id, personal=token.may(Right.PERSONAL))

    @classmethod
    def from_text(cls, text: str) -> ReadRights:
        """Return the rights of ``to_text``; of any other text those of the command line, which reads everything."""
        try:
            data = json.loads(text)
            lists = {name: tuple(map(str, data[name])) for name in _LISTS}
            return cls(**lists, actor_id=str(data["actor_id"]), personal=bool(data["personal"]))
        except (ValueError, KeyError, TypeError):
            return cls()

    def to_text(self) -> str:
        """Return the rights as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    def within(self, other: ReadRights) -> bool:
        """Return whether whoever has other rights may see everything that was read under these."""
        return all(self._narrower(other))

    def _narrower(self, other: ReadRights) -> Iterator[bool]:
        for name in _LISTS:
            mine, theirs = set(getattr(self, name)), set(getattr(other, name))
            yield not theirs or (bool(mine) and mine <= theirs)
        yield other.actor_id in ("", self.actor_id)
        yield other.personal or not self.personal
