from __future__ import annotations

import io
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import islice, pairwise
from typing import Any

import fastavro
import pytest

from producers import InvalidEvent
from producers.generator import BAD_KINDS, KINDS, EventGenerator, Generated
from producers.records import SCHEMA
from schemas.catalogue import Catalogue
from schemas.columns import avro_schema
from schemas.wire import EventCodec

_START = datetime(2026, 3, 1, tzinfo=UTC)
_codec = EventCodec(dict(SCHEMA), 7)
_catalogue = Catalogue.load()


def _load(count: int, seed: int = 1, **more: Any) -> list[Generated]:
    generator = EventGenerator(seed, schema_id=7, start=_START, catalogue=_catalogue, **more)
    return list(islice(generator, count))


def test_the_same_seed_and_start_give_the_same_bytes_and_another_seed_gives_others() -> None:
    assert _load(500, bad_share=0.1) == _load(500, bad_share=0.1)
    assert _load(50) != _load(50, seed=2)


def test_every_record_kind_comes_up_with_its_block_and_known_codes_and_unique_ids() -> None:
    events = [_codec.decode(g.value) for g in _load(3000)]
    assert {e["record_kind"] for e in events} == set(KINDS)
    assert {e["event_code"] for e in events} <= set(_catalogue.codes)
    blocks = {
        "api_call": "api",
        "auth": "auth",
        "run_log": "run",
        "task": "task",
        "export": "export",
        "webhook": "hook",
        "access": "access",
    }
    assert all(e[blocks[e["record_kind"]]] for e in events if e["record_kind"] in blocks)
    assert len({e["event_id"] for e in events}) == len(events)
    assert [e["producer_seq"] for e in events] == list(range(1, 3001))
    assert all(b["occurred_at"] > a["occurred_at"] for a, b in pairwise(events))


def test_a_task_goes_through_its_states_in_order_under_one_id_and_one_key() -> None:
    states: dict[str, list[tuple[int, str]]] = defaultdict(list)
    keys: dict[str, set[bytes]] = defaultdict(set)
    for item in _load(2000, kinds=["task"]):
        task = _codec.decode(item.value)["task"]
        states[task["task_id"]].append((task["state_seq"], task["status"]))
        keys[task["task_id"]].add(item.key)
    assert all(len(k) == 1 for k in keys.values())
    finished = [s for s in states.values() if s[-1][1] in ("done", "failed", "cancelled")]
    assert len(finished) > 100
    for one in finished:
        assert [seq for seq, _ in one] == list(range(1, len(one) + 1))
        assert one[0][1] == "enqueued"
    assert {s[-1][1] for s in finished} == {"done", "failed", "cancelled"}


def test_a_run_ends_with_the_total_time_spent_as_text_and_number() -> None:
    runs = [e for e in (_codec.decode(g.value) for g in _load(200, kinds=["run_log"])) if e["run"]["state"] == "end"]
    assert runs
    for event in runs:
        assert event["message"] == "Total time spent"
        assert float(event["run"]["value"].removesuffix("ms")) == pytest.approx(event["run"]["value_num"], abs=1e-6)


def test_tenants_are_skewed_and_addresses_are_of_both_families() -> None:
    events = [_codec.decode(g.value) for g in _load(4000)]
    tenants = Counter(e["tenant_id"] for e in events)
    assert len(tenants) == 20
    assert tenants["tenant-001"] > 5 * tenants["tenant-020"]
    assert any(":" in e["ip"] for e in events)
    assert any("." in e["ip"] for e in events)


def test_the_share_of_bad_messages_is_kept_and_every_kind_comes_up() -> None:
    load = _load(4000, bad_share=0.05)
    bad = [g for g in load if g.kind]
    assert 150 < len(bad) < 250
    assert {g.kind for g in bad} == set(BAD_KINDS)
    assert all(g.expected == "stored" and not g.reason for g in load if not g.kind)


def _reads(value: bytes) -> bool:
    stream = io.BytesIO(value[5:])
    try:
        fastavro.schemaless_reader(stream, dict(SCHEMA), None)
    except (EOFError, ValueError, IndexError, MemoryError, OverflowError):
        return False
    return value[:5] == b"\0\0\0\0\7" and not stream.read()


@pytest.mark.parametrize("kind", BAD_KINDS)
def test_a_bad_message_is_wrong_in_the_way_its_reason_says(kind: str) -> None:
    item = next(g for g in _load(2000, bad_share=0.5) if g.kind == kind)
    by_bytes = {
        "eof",
        "trailing_bytes",
        "frame_magic",
        "frame_short",
        "schema_unknown",
        "empty",
        "utf8",
        "event_id_invalid",
    }
    assert _reads(item.value) == (item.reason not in by_bytes)


def test_cards_of_all_actors_are_encoded_for_the_directory() -> None:
    generator = EventGenerator(1, schema_id=7, start=_START, catalogue=_catalogue, tenants=3, actors=4)
    codec = EventCodec(avro_schema("actor", 1), 9)
    cards = [(key, codec.decode(value)) for key, value in generator.actor_messages(9)]
    assert len(cards) == 12
    assert all(key.decode() == f"{card['tenant_id']}/{card['actor_id']}" for key, card in cards)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": ["taks"]},
        {"kinds": []},
        {"bad_share": 1.1},
        {"tenants": 0},
        {"actors": 0},
        {"start": _START.replace(tzinfo=None)},
    ],
)
def test_an_impossible_load_is_refused(wrong: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"schema_id": 1, "start": _START, "catalogue": _catalogue} | wrong
    with pytest.raises(InvalidEvent):
        EventGenerator(1, **arguments)
