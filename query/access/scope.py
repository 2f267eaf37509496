"""Which records a token reaches, as an expression that every question is joined with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from query.access.errors import TokenInvalid
from query.expression import AnyOf, Expression, Term, conjunction
from query.filters import enum_values


@dataclass(frozen=True, slots=True)
class Scope:
    """Records within reach; an empty list does not narrow.

    Attributes:
        tenants: Ids of tenants.
        projects: Ids or slugs of projects, as the filter ``project`` takes them.
        products: Functional areas.
        record_kinds: Kinds of records.
        actor_id: Only what this actor did; empty for all actors.
    """

    tenants: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    record_kinds: tuple[str, ...] = ()
    actor_id: str = ""

    def __post_init__(self) -> None:
        """Check the scope.

        Raises:
            TokenInvalid: A kind does not exist, a value is empty, or an actor is named without exactly one tenant.
        """
        if unknown := set(self.record_kinds) - set(enum_values("record_kind")):
            raise TokenInvalid(f"there is no record kind {', '.join(sorted(unknown))}")
        if "" in (*self.tenants, *self.projects, *self.products):
            raise TokenInvalid("a tenant, project or product is empty")
        if self.actor_id and len(self.tenants) != 1:
            raise TokenInvalid("an actor id means something within its tenant only: name exactly one tenant")

    @property
    def unlimited(self) -> bool:
        """Whether every record is within reach."""
        return not (self.tenants or self.narrower)

    @property
    def narrower(self) -> bool:
        """Whether less than whole tenants is within reach."""
        return bool(self.projects or self.products or self.record_kinds or self.actor_id)

    def described(self) -> str:
        """Return it in words: ``tenant acme; kind auth``, or ``everything``."""
        parts = {
            "tenant": self.tenants,
            "project": self.projects,
            "product": self.products,
            "kind": self.record_kinds,
            "actor": (self.actor_id,) if self.actor_id else (),
        }
        return "; ".join(f"{name} {', '.join(values)}" for name, values in parts.items() if values) or "everything"

    def within(self, other: Scope) -> bool:
        """Tell whether every record within reach is within reach of another scope, as far as names tell.

        Projects are compared as they are written: an id is not known to be that of a slug.
        """
        lists = ("tenants", "projects", "products", "record_kinds")
        return all(_narrower(getattr(self, name), getattr(other, name)) for name in lists) and (
            other.actor_id in ("", self.actor_id)
        )

    def expression(self) -> Expression:
        """Return what every record within reach matches."""
        return conjunction(*self._parts())

    def _parts(self) -> Iterator[Expression]:
        named = {
            "tenant": self.tenants,
            "project": self.projects,
            "product": self.products,
            "kind": self.record_kinds,
            "actor_id": (self.actor_id,) if self.actor_id else (),
        }
        for name, values in named.items():
            terms = tuple(Term(name, value) for value in values)
            if terms:
                yield terms[0] if len(terms) == 1 else AnyOf(terms)


def _narrower(own: tuple[str, ...], other: tuple[str, ...]) -> bool:
    # An empty list does not narrow.
    return not other or (bool(own) and set(own) <= set(other))
