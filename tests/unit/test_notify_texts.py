"""Texts of notifications: templates on odd events, masking, digests, and events read from JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from auditstream.notify.drafts import Drafts
from auditstream.notify.events import EventUnreadable, blank_event, event_of_json, sample_event
from auditstream.notify.matching import event_filter
from auditstream.notify.rules import Rule
from auditstream.notify.templates import DEFAULTS, SHOWN_EVENTS, TEXT_CHARACTERS, Templates, Text, template_problem
from query.fields import Row, event_fields
from schemas.catalogue import Catalogue

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def a_rule(personal: bool = False, **sources: str) -> Rule:
    templates = Templates(sources, "watch", UTC_ZONE)
    return Rule("watch", event_filter(""), ("inbox", "mail"), templates, UTC_ZONE, personal=personal)


class Desk:
    """Writes drafts and notes what a template did not bear."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.drafts = Drafts(Catalogue.load(), lambda rule, reason: self.refused.append(f"{rule}: {reason}"))

    def text(self, rule: Rule, event: Row) -> Text:
        return self.drafts.notice(rule, event, NOW).text

    def key(self, rule: Rule, event: Row) -> bytes:
        return self.drafts.notice(rule, event, NOW).key


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_default_templates_bear_every_event(name: str) -> None:
    assert template_problem(name, DEFAULTS[name], UTC_ZONE) == ""


@pytest.mark.parametrize("event", [blank_event(), sample_event()], ids=["blank", "sample"])
def test_the_default_words_say_who_what_when_and_where(desk: Desk, event: Row) -> None:
    said = desk.text(a_rule(personal=True), event)
    assert event["event_id"] in said.text
    assert f"{event['occurred_at']:%Y-%m-%d %H:%M:%S} UTC" in said.text
    assert (event["ip"] or "From: -") in said.text
    assert (event["actor_name"] or "Actor: -") in said.text


def test_personal_data_is_masked_unless_the_rule_shows_it(desk: Desk) -> None:
    words = "{{ event.actor_name }} {{ event.actor_email }} {{ event.tenant_id }}"
    assert desk.text(a_rule(title=words), sample_event()).title == "[masked] [masked] example"
    assert desk.text(a_rule(personal=True, title=words), sample_event()).title == "Ann Example ann@example.com example"


def test_a_key_may_be_made_of_personal_data_as_only_its_digest_is_kept(desk: Desk) -> None:
    rule = a_rule(key="{{ event.actor_name }}")
    ann, bob = sample_event(), sample_event() | {"actor_name": "Bob"}
    assert desk.key(rule, ann) == desk.key(rule, ann | {"message": "another"}) != desk.key(rule, bob)
    assert len(desk.key(rule, ann)) == 32


def test_a_template_that_does_not_bear_an_event_gives_way_to_the_default_words() -> None:
    desk = Desk()
    rule = a_rule(title="{{ event.details['must'] }}", text="fine")
    assert desk.text(rule, sample_event() | {"details": {"must": "be there"}}).title == "be there"
    assert desk.refused == []
    said = desk.text(rule, sample_event())
    assert (said.title, said.text) == ("example.update", "fine")
    assert desk.refused[0].startswith("watch: title: UndefinedError")


def test_values_cannot_play_tricks_in_a_title_or_text(desk: Desk) -> None:
    event = sample_event() | {"message": "a\r\nBcc: x@example.com\u202e\x1b[31m", "tenant_id": "t\x00\u2066"}
    said = desk.text(a_rule(title="{{ event.message }}", text="{{ event.tenant_id }}\n{{ event.message }}"), event)
    assert said.title == "a Bcc: x@example.com\\u202e\\x1b[31m"
    assert said.text.splitlines() == ["t\\x00\\u2066", "a", "Bcc: x@example.com\\u202e\\x1b[31m"]


def test_a_text_that_is_too_long_is_cut_and_says_so(desk: Desk) -> None:
    said = desk.text(a_rule(text="{{ event.message }}"), sample_event() | {"message": "x" * (TEXT_CHARACTERS + 1)})
    assert said.text == "x" * TEXT_CHARACTERS + "\n[cut]"


def test_a_digest_shows_so_many_events_and_counts_the_others(desk: Desk) -> None:
    rule = a_rule(text="[{{ event.message }}]")
    events = [sample_event() | {"message": str(n)} for n in range(SHOWN_EVENTS + 3)]
    notices = tuple(desk.drafts.notice(rule, event, NOW) for event in events)
    first, second = desk.drafts.messages(rule, notices)
    assert (first.channel, second.channel, first.message_id) == ("inbox", "mail", second.message_id)
    assert first.text.title == f"watch: {SHOWN_EVENTS + 3} events"
    assert f"[{SHOWN_EVENTS - 1}]" in first.text.text
    assert f"[{SHOWN_EVENTS}]" not in first.text.text
    assert f"and 3 more: auditstream notify log --message {first.message_id}" in first.text.text


def test_one_event_alone_is_told_in_its_own_words_also_in_a_digest(desk: Desk) -> None:
    (message, _) = desk.drafts.messages(a_rule(), (desk.drafts.notice(a_rule(title="own"), sample_event(), NOW),))
    assert message.text.title == "own"


def test_an_event_is_read_from_what_the_commands_and_the_api_print() -> None:
    data = {
        "event_code": "a.b",
        "occurred_at": "2026-01-31T09:30:00.5Z",
        "details": {"k": "v"},
        "title": "A",
        "as_number": 5,
    }
    wanted = blank_event() | {
        "event_code": "a.b",
        "occurred_at": datetime(2026, 1, 31, 9, 30, 0, 500_000, tzinfo=UTC),
        "details": {"k": "v"},
        "as_number": 5,
    }
    for shape in (data, [data], {"title": "A", "event": data, "payload": None}, [{"event": data}]):
        assert event_of_json(shape) == wanted


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (3, "no JSON object"),
        ([], "0 events"),
        ([{}, {}], "2 events"),
        ({"event_cod": "x"}, 'did you mean "event_code"'),
        ({"event_code": 5}, "event_code = 5: expected str"),
        ({"occurred_at": "soon"}, "expected a time"),
        ({"occurred_at": 5}, "expected datetime"),
        ({"details": []}, "expected dict"),
        ({"as_number": True}, "expected int"),
        ({"targets": {}}, "expected list"),
    ],
)
def test_what_is_no_event_is_refused_with_the_reason(data: Any, expected: str) -> None:
    with pytest.raises(EventUnreadable, match=expected):
        event_of_json(data)


def test_a_blank_event_has_every_field() -> None:
    assert blank_event().keys() == sample_event().keys() == event_fields().keys()
