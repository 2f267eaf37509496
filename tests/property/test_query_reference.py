"""Reads equal a slow reference in Python, over random events and random questions."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrastructure.clickhouse import fresh_database
from query import START, All, AnyOf, Expression, Not, Question, Term, parse, to_text
from query.fields import Row
from query.period import micros
from query.question import SortName
from query.totals import Total
from query_log import NOW, TOPIC, Log, address, at, open_log
from sinks.settings import ClickHouseSettings

Event = Mapping[str, Any]

FIELDS = ["kafka_partition", "kafka_offset", "deliveries", "conflict"]
DAY = 24 * 3_600_000_000

TENANTS = ["acme", "globex"]
CODES = ["campaign.activate", "campaign.delete", "voucher.create", "campaigns"]
NAMES = ["Ann", "ann", "Ärger", "Bob O'Neil", ""]
IPS = ["10.0.0.1", "10.0.0.255", "10.1.0.0", "2001:db8::1", "::1", "203.0.113.7", "::"]
OUTCOMES = ["success", "failure", "denied"]
IDS = ["1", "2", "a/b", "%", "1' OR '1'='1"]
TYPES = ["campaign", "a", ""]
WORDS = ["limit", "Über", "x"]
BASE = datetime(2026, 6, 10, tzinfo=UTC)
MOMENTS = [BASE + timedelta(microseconds=i) for i in range(3)] + [BASE + timedelta(days=i) for i in range(4)]


def make_event(rng: random.Random) -> dict[str, Any]:
    targets = [(rng.choice(TYPES), rng.choice(IDS)) for _ in range(rng.randrange(3))]
    sent = rng.choice([None, *MOMENTS])
    return {
        "tenant_id": rng.choice(TENANTS),
        "event_id": UUID(int=rng.choice([rng.getrandbits(128), 5, 1 << 127])).bytes,
        "occurred_at": at(rng.choice(MOMENTS).replace(tzinfo=None).isoformat()),
        "event_code": rng.choice(CODES),
        "outcome": rng.choice(OUTCOMES),
        "actor_id": rng.choice(IDS),
        "actor_name": rng.choice(NAMES),
        "ip": address(rng.choice(IPS)),
        "target_type": rng.choice(TYPES),
        "target_id": rng.choice(IDS),
        "target_name": rng.choice(NAMES),
        "targets.type": [t for t, _ in targets],
        "targets.id": [i for _, i in targets],
        "targets.name": [""] * len(targets),
        "targets.role": [""] * len(targets),
        "message": " ".join(rng.sample(WORDS, rng.randrange(3))),
        "details": [(rng.choice(WORDS), rng.choice(IDS))] if rng.random() < 0.5 else [],
        "hook_sent_at": at(sent.replace(tzinfo=None).isoformat()) if sent else None,
    }


def make_deliveries(rng: random.Random) -> list[dict[str, Any]]:
    """Events, some of which are delivered again, next to the first time or long after."""
    sent = [make_event(rng) for _ in range(200)]
    return sent + [dict(rng.choice(sent)) for _ in range(50)]


EVENTS = make_deliveries(random.Random(20260615))
#: Place of each event in Kafka: partition and offset.
PLACES = [(i % 3, i // 3) for i in range(len(EVENTS))]


def is_in_network(event: Event, value: str) -> bool:
    stored = IPv6Address(event["ip"])
    if int(stored) == 0:
        return value == "none"
    plain = stored.ipv4_mapped or stored
    return value != "none" and plain in ip_network(value)


def is_object(event: Event, value: str) -> bool:
    pairs = [(event["target_type"], event["target_id"]), *zip(event["targets.type"], event["targets.id"], strict=True)]
    kind, slash, id_ = value.partition("/")
    return any(i == value for _, i in pairs) or (bool(slash) and (kind, id_) in pairs)


def has_words(event: Event, value: str) -> bool:
    texts = [
        event["message"],
        event["actor_name"],
        event["target_name"],
        *(t for pair in event["details"] for t in pair),
    ]
    return all(any(word.lower() in text.lower() for text in texts) for word in value.split())


def has_detail(event: Event, value: str) -> bool:
    key, equals, wanted = value.partition("=")
    return any(k == key and (not equals or v == wanted) for k, v in event["details"])


def micros_of(value: str) -> int:
    return at(value)


MATCHES: dict[str, Callable[[Event, str], bool]] = {
    "tenant": lambda e, v: e["tenant_id"] == v,
    "action": lambda e, v: e["event_code"].startswith(v[:-1]) if v.endswith("*") else e["event_code"] == v,
    "outcome": lambda e, v: e["outcome"] == v,
    "event": lambda e, v: UUID(bytes=e["event_id"]) == UUID(v),
    "actor": lambda e, v: e["actor_id"] == v or v.lower() in (e["actor_name"].lower(), ""),
    "actor_id": lambda e, v: e["actor_id"] == v,
    "ip": is_in_network,
    "object": is_object,
    "object_id": lambda e, v: e["target_id"] == v,
    "object_type": lambda e, v: e["target_type"] == v,
    "text": has_words,
    "detail": has_detail,
    "since": lambda e, v: e["occurred_at"] >= micros_of(v),
    "until": lambda e, v: e["occurred_at"] < micros_of(v),
    "webhook_sent_since": lambda e, v: e["hook_sent_at"] is not None and e["hook_sent_at"] >= micros_of(v),
}
TIMES = [m.replace(tzinfo=None).isoformat() for m in MOMENTS]
VALUES: dict[str, list[str]] = {
    "tenant": TENANTS,
    "action": [*CODES, "campaign.*", "c*"],
    "outcome": OUTCOMES,
    "actor": [*IDS, "ANN", "ärger"],
    "actor_id": IDS,
    "ip": ["10.0.0.1", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "::1", "none"],
    "object": [*IDS, "campaign/1", "a/b", "a/a/b"],
    "object_id": IDS,
    "object_type": TYPES,
    "text": [*WORDS, "ann", "LIMIT über", "1"],
    "detail": ["limit", "limit=1", "x=a/b", "Über=%"],
    "since": TIMES,
    "until": TIMES,
    "webhook_sent_since": TIMES,
}

TERMS = st.sampled_from([Term(name, value) for name, values in VALUES.items() for value in values])
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
    ),
    max_leaves=6,
)
#: What the shortcuts serve: a tenant, a key, perhaps more.
KEYED = st.builds(
    lambda tenant, key, rest: All((tenant, key, rest)),
    st.sampled_from([Term("tenant", t) for t in TENANTS]),
    st.sampled_from([Term("actor_id", i) for i in IDS] + [Term("ip", "10.0.0.1"), Term("target", "campaign/1")]),
    EXPRESSIONS,
)
#: The same for any of several keys, alone and beside others.
_KEYS = [
    *(Term("actor_id", i) for i in IDS),
    Term("ip", "10.0.0.1"),
    Term("ip", "2001:db8::1"),
    Term("target", "campaign/1"),
]
KEY = st.one_of(
    st.sampled_from(_KEYS),
    st.builds(
        lambda kind, id_: All((Term("object_type", kind), Term("object_id", id_))),
        st.sampled_from(TYPES),
        st.sampled_from(IDS),
    ),
)
ANY_KEYED = st.builds(
    lambda tenant, keys, rest: All((tenant, *rest, AnyOf(tuple(keys)))),
    st.sampled_from([Term("tenant", t) for t in TENANTS]),
    st.lists(KEY, min_size=1, max_size=4),
    st.one_of(st.just([]), st.sampled_from(TIMES).map(lambda t: [Term("since", t)]), st.lists(EXPRESSIONS, max_size=1)),
)
MATCHES["target"] = lambda e, v: (e["target_type"], e["target_id"]) == tuple(v.split("/", 1))


def matches(event: Event, expression: Expression) -> bool:
    match expression:
        case Term(name, value):
            return MATCHES[name](event, value)
        case Not(part):
            return not matches(event, part)
        case All(parts):
            return all(matches(event, p) for p in parts)
        case AnyOf(parts):
            return any(matches(event, p) for p in parts)


def uuid_order(raw: bytes) -> tuple[int, int]:
    """The engine compares the second half of a UUID first."""
    value = int.from_bytes(raw)
    return value & (2**64 - 1), value >> 64


def sort_key(event: Event, sort: SortName) -> tuple[Any, ...]:
    heads = {
        "time": (),
        "user": (event["actor_name"].encode(), event["actor_id"].encode()),
        "ip": (event["ip"],),
        "object": tuple(event[c].encode() for c in ("target_type", "target_name", "target_id")),
    }
    return (*heads[sort], event["occurred_at"], uuid_order(event["event_id"]), event["tenant_id"])


def content(index: int) -> str:
    return repr(sorted(EVENTS[index].items()))


def same_id(index: int) -> tuple[Any, ...]:
    return tuple(EVENTS[index][name] for name in ("tenant_id", "occurred_at", "event_id"))


def matching(expression: Expression) -> list[int]:
    return [i for i, event in enumerate(EVENTS) if matches(event, expression)]


def expected_keys(expression: Expression, sort: SortName, *, descending: bool) -> list[tuple[Any, ...]]:
    once = {content(i): i for i in matching(expression)}
    return sorted((sort_key(EVENTS[i], sort) for i in once.values()), reverse=descending)


def expected_marks(expression: Expression) -> dict[str, tuple[int, bool]]:
    """Return deliveries and conflict of every content."""
    found = matching(expression)
    deliveries = Counter(content(i) for i in found)
    contents: dict[tuple[Any, ...], set[str]] = {}
    for i in found:
        contents.setdefault(same_id(i), set()).add(content(i))
    return {content(i): (deliveries[content(i)], len(contents[same_id(i)]) > 1) for i in found}


@pytest.fixture(scope="module")
def log(chdb_path: Path) -> Iterator[Log]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as opened:
        for partition in range(3):
            mine = [e for e, place in zip(EVENTS, PLACES, strict=True) if place[0] == partition]
            opened.store(mine[:40], partition=partition)
            opened.store(mine[40:], partition=partition)
        yield opened


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    expression=st.one_of(EXPRESSIONS, KEYED, ANY_KEYED),
    sort=st.sampled_from(["time", "user", "ip", "object"]),
    descending=st.booleans(),
    limit=st.integers(20, 120),
)
def test_pages_hold_what_the_reference_holds_in_its_order(
    log: Log, expression: Expression, sort: SortName, descending: bool, limit: int
) -> None:
    question = Question(expression, sort, descending, now=NOW)
    rows = walk(log, question, limit)
    found = [PLACES.index((r["kafka_partition"], r["kafka_offset"])) for r in rows]
    assert [sort_key(EVENTS[i], sort) for i in found] == expected_keys(expression, sort, descending=descending)
    marks = {content(i): (r["deliveries"], r["conflict"]) for i, r in zip(found, rows, strict=True)}
    assert len(marks) == len(rows)
    assert marks == expected_marks(expression)


def walk(log: Log, question: Question, limit: int) -> list[Row]:
    rows: list[Row] = []
    cursor = None
    while True:
        page = log.reader.page(question, limit=limit, cursor=cursor, fields=FIELDS)
        assert len(page.rows) == limit or page.next_cursor is None
        rows += page.rows
        cursor = page.next_cursor
        if cursor is None:
            return rows


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expression=TERMS, descending=st.booleans(), limit=st.integers(1, 3))
def test_a_page_may_end_within_events_that_share_an_id(
    log: Log, expression: Expression, descending: bool, limit: int
) -> None:
    narrowed = All((Term("event", str(UUID(int=5))), expression))
    question = Question(narrowed, "time", descending, now=NOW)
    rows = walk(log, question, limit)
    marks = expected_marks(narrowed)
    assert sorted((r["deliveries"], r["conflict"]) for r in rows) == sorted(marks.values())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expression=st.one_of(EXPRESSIONS, ANY_KEYED))
def test_counts_facets_and_arrivals_agree_with_the_reference(log: Log, expression: Expression) -> None:
    question = Question(expression, now=NOW)
    rows = [EVENTS[i] for i in {content(i): i for i in matching(expression)}.values()]
    assert log.reader.total(question) == Total(len(rows), is_exact=True)
    facet = {v.value: v.events for v in log.reader.facet(question, "action", top=100)}
    assert facet == Counter(e["event_code"] for e in rows)
    days = {micros(b.start): b.events for b in log.reader.histogram(question, "day")}
    assert days == Counter(e["occurred_at"] // DAY * DAY for e in rows)
    arrived, told, position, caught_up = [], [], START, False
    while not caught_up:
        step = log.reader.arrivals(question, position, limit=30, fields=["kafka_topic_id", *FIELDS])
        ours = [r for r in step.rows if r["kafka_topic_id"] == str(TOPIC)]
        arrived += [(r["kafka_partition"], r["kafka_offset"]) for r in ours]
        told += [r["deliveries"] for r in ours]
        position, caught_up = step.position, step.caught_up
    assert sorted(arrived) == sorted(PLACES[i] for i in matching(expression))
    numbers: dict[str, list[int]] = {}
    for place, number in zip(arrived, told, strict=True):
        numbers.setdefault(content(PLACES.index(place)), []).append(number)
    assert all(sorted(n) == list(range(1, len(n) + 1)) for n in numbers.values())
    for partition in range(3):
        mine = [offset for p, offset in arrived if p == partition]
        assert mine == sorted(mine)


@settings(max_examples=200, deadline=None)
@given(expression=EXPRESSIONS)
def test_the_text_form_keeps_the_meaning_of_an_expression(expression: Expression) -> None:
    again = parse(to_text(expression))
    assert [matches(e, again) for e in EVENTS] == [matches(e, expression) for e in EVENTS]


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(VALUES)), value=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_value_survives_the_text_form(name: str, value: str) -> None:
    assert parse(to_text(Term(name, value))) == Term(name, value)
