"""Snapshots of actors: the names that an event leaves empty are filled as the directory knows them now."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from consumers.arrays import Bools, codes, dictionary_array, is_blank, lengths
from consumers.batch import Int64s
from consumers.coded import Coded, Filler
from consumers.enrich.actors import ActorCard, ActorDirectory

#: Column of the event -> field of the card, for columns of plain strings.
_TEXTS: Mapping[str, str] = {
    "actor_login": "login",
    "actor_name": "name",
    "actor_email": "email",
    "actor_avatar_url": "avatar_url",
}
_CODED: Mapping[str, str] = {"actor_department": "department", "actor_status": "status"}
_NOBODY = ActorCard()


class Snapshots:
    """Joins actor cards. Not thread-safe.

    The event's own snapshot wins, field by field.

    Args:
        directory: Where the cards are.
    """

    def __init__(self, directory: ActorDirectory) -> None:
        self._directory = directory
        self._fillers = {column: Filler({"", "unspecified"}) for column in _CODED}

    def join(
        self, tenant: Coded, actor: Coded, columns: Mapping[str, pa.Array], coded: Mapping[str, Coded]
    ) -> dict[str, pa.Array]:
        """Return the columns ``actor_*`` that may have been filled, and ``actor_directory_status``.

        Args:
            tenant: Tenant of each row; n rows.
            actor: Actor id of each row, may be empty; n rows.
            columns: Columns of the event as received.
            coded: ``actor_department`` and ``actor_status`` as received.
        """
        absence = self._directory.absence
        if absence == "disabled":
            return {"actor_directory_status": _statuses(actor, np.zeros(len(actor.codes), np.int64), absence)}
        cards, numbers = self._look_up(tenant, actor)
        joined: dict[str, pa.Array] = {"actor_directory_status": _statuses(actor, numbers, absence)}
        if len(cards) > 1:
            joined |= self._filled(cards, numbers, columns, coded)
        return joined

    def _look_up(self, tenant: Coded, actor: Coded) -> tuple[list[ActorCard], Int64s]:
        """Return the cards found, after that of nobody, and which of them belongs to each row."""
        pairs = tenant.codes.astype(np.int64) << 32 | actor.codes
        distinct, places = np.unique(pairs, return_inverse=True)
        tenants = tenant.words.take(pa.array(distinct >> 32)).to_pylist()
        actors = actor.words.take(pa.array(distinct & 0xFFFFFFFF)).to_pylist()
        found = self._directory.look_up_all(tenants, actors)
        # An event without an actor has no card, whatever the directory keeps under an empty id.
        known = np.array([bool(a) and card is not None for a, card in zip(actors, found, strict=True)], np.bool_)
        numbers = np.where(known, np.cumsum(known), 0)
        return [_NOBODY, *(card for card, ok in zip(found, known, strict=True) if ok and card)], numbers[places]

    def _filled(
        self,
        cards: list[ActorCard],
        numbers: Int64s,
        columns: Mapping[str, pa.Array],
        coded: Mapping[str, Coded],
    ) -> dict[str, pa.Array]:
        fields = dict(zip(ActorCard._fields, zip(*cards, strict=True), strict=True))
        filled = {
            column: fill_rows(columns[column], pa.array(fields[field], pa.string()), numbers)
            for column, field in _TEXTS.items()
        }
        roles = pa.array(fields["roles"], columns["actor_roles"].type)
        filled["actor_roles"] = fill_rows(columns["actor_roles"], roles, numbers)
        for column, field in _CODED.items():
            words = pa.array(fields[field], pa.string()).dictionary_encode()
            filled[column] = self._fillers[column].fill(coded[column], codes(words)[numbers], words.dictionary)
        return filled


def _statuses(actor: Coded, numbers: Int64s, absence: str) -> pa.DictionaryArray:
    """Return the column ``actor_directory_status``; number 0 is nobody's card."""
    nobody = (lengths(actor.words) == 0)[actor.codes]
    row_codes = np.where(nobody, 0, np.where(numbers > 0, 1, 2)).astype(np.int32)
    return dictionary_array(row_codes, pa.array(["none", "ok", absence], pa.string()))


def fill_rows(own: pa.Array, fillers: pa.Array, numbers: Int64s) -> pa.Array:
    """Return own values, and where they are empty those of the fillers.

    Args:
        own: Strings or lists; n rows.
        fillers: Values of the same type.
        numbers: Which of the fillers belongs to each row; int64[n].
    """
    if is_blank(own):
        return fillers.take(pa.array(numbers))
    empty: Bools = lengths(own) == 0
    picks = np.where(empty, len(own) + numbers, np.arange(len(own)))
    return pa.concat_arrays([own, fillers]).take(pa.array(picks))
