"""The actor directory: in order, once, bounded, and honest about what it does not know."""

from __future__ import annotations

import pytest

from consumers.enrich import ActorCard, ActorDirectory
from consumers.enrich.actors import DirectoryState

ANN, BOB = ActorCard(name="Ann"), ActorCard(name="Bob")


def directory(max_actors: int = 10) -> ActorDirectory:
    actors = ActorDirectory(max_actors)
    actors.state = "ready"
    return actors


def test_a_card_is_found_under_its_tenant_only() -> None:
    actors = directory()
    assert actors.apply("acme", "u1", ANN, ("actors", 0), 0)
    assert actors.look_up("acme", "u1") == ANN
    assert actors.look_up("other", "u1") is None
    assert actors.look_up("acme", "u2") is None


def test_the_latest_card_wins() -> None:
    actors = directory()
    actors.apply("acme", "u1", ANN, ("actors", 0), 0)
    actors.apply("acme", "u1", BOB, ("actors", 0), 1)
    assert actors.look_up("acme", "u1") == BOB
    assert (len(actors), actors.version) == (1, 2)


def test_a_record_that_is_read_again_changes_nothing() -> None:
    actors = directory()
    actors.apply("acme", "u1", ANN, ("actors", 0), 4)
    actors.apply("acme", "u1", BOB, ("actors", 0), 5)
    assert not actors.apply("acme", "u1", ANN, ("actors", 0), 4)
    assert actors.look_up("acme", "u1") == BOB
    assert actors.version == 2


def test_offsets_of_different_partitions_are_independent() -> None:
    actors = directory()
    actors.apply("acme", "u1", ANN, ("actors", 0), 100)
    assert actors.apply("acme", "u2", BOB, ("actors", 1), 0)


def test_a_tombstone_removes_a_card_once() -> None:
    actors = directory()
    actors.apply("acme", "u1", ANN, ("actors", 0), 0)
    assert actors.apply("acme", "u1", None, ("actors", 0), 1)
    assert not actors.apply("acme", "u1", None, ("actors", 0), 2)
    assert not actors.apply("nobody", "u1", None, ("actors", 0), 3)
    assert actors.look_up("acme", "u1") is None
    assert (len(actors), actors.version) == (0, 2)


def test_cards_beyond_the_bound_are_counted_and_known_ones_still_change() -> None:
    actors = directory(max_actors=1)
    actors.apply("acme", "u1", ANN, ("actors", 0), 0)
    assert not actors.apply("acme", "u2", BOB, ("actors", 0), 1)
    assert actors.apply("acme", "u1", BOB, ("actors", 0), 2)
    assert (len(actors), actors.refused) == (1, 1)
    assert actors.absence == "failed"


def test_a_tombstone_makes_room_for_another_card() -> None:
    actors = directory(max_actors=1)
    actors.apply("acme", "u1", ANN, ("actors", 0), 0)
    actors.apply("acme", "u1", None, ("actors", 0), 1)
    assert actors.apply("other", "u2", BOB, ("actors", 0), 2)


@pytest.mark.parametrize(
    ("state", "absence"),
    [
        ("loading", "failed"),
        ("ready", "not_found"),
        ("stale", "failed"),
        ("failed", "failed"),
        ("disabled", "disabled"),
    ],
)
def test_absence_means_not_found_only_while_the_directory_is_complete(state: DirectoryState, absence: str) -> None:
    actors = directory()
    actors.state = state
    assert actors.absence == absence


def test_a_directory_that_is_not_enabled_is_disabled_from_the_start() -> None:
    assert ActorDirectory(10, enabled=False).state == "disabled"
    assert ActorDirectory(10).state == "loading"


def test_pairs_are_looked_up_together_in_order() -> None:
    actors = directory()
    actors.apply("acme", "u1", ANN, ("actors", 0), 0)
    actors.apply("other", "u1", BOB, ("actors", 0), 1)
    assert actors.look_up_all(["other", "acme", "x"], ["u1", "u1", "u1"]) == [BOB, ANN, None]


def test_a_card_is_read_from_a_record_and_missing_fields_are_empty() -> None:
    record = {"tenant_id": "acme", "actor_id": "u1", "name": "Ann", "status": "active", "roles": ["admin", "hr"]}
    assert ActorCard.of(record) == ActorCard(name="Ann", status="active", roles=("admin", "hr"))
    assert ActorCard.of({}) == ActorCard()
