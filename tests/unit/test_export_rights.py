"""Under which rights an export was read, who may see it, and the zone it is written in."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from query import Question, parse
from query.access import Identity, Scope, Token, identity_id
from query.access.recording import Caller
from query.exports import ExportRequest, Requester
from query.exports.desk import requester_of
from query.exports.rights import ReadRights
from query.exports.zone import written_in
from query.syntax import to_text

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
EVERYTHING = ReadRights()


def token(role: str = "administrator", **scope: object) -> Token:
    return Token("tok_1", "test", role, Scope(**scope), NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (ReadRights(tenants=("a",)), ReadRights(tenants=("a", "b"))),
        (ReadRights(projects=("p",)), EVERYTHING),
        (ReadRights(tenants=("a",), products=("x",)), ReadRights(tenants=("a",))),
        (ReadRights(record_kinds=("auth",)), ReadRights(record_kinds=("auth", "task"))),
        (ReadRights(tenants=("a",), actor_id="u"), ReadRights(tenants=("a",))),
        (ReadRights(personal=False), EVERYTHING),
    ],
)
def test_less_lies_within_more_and_not_the_other_way_round(narrow: ReadRights, wide: ReadRights) -> None:
    assert narrow.within(wide)
    assert narrow.within(narrow)
    assert not wide.within(narrow)


def test_rights_beside_each_other_lie_within_neither() -> None:
    one, other = ReadRights(tenants=("a",)), ReadRights(tenants=("b",))
    assert not one.within(other)
    assert not other.within(one)
    assert not ReadRights(tenants=("a",), actor_id="u").within(ReadRights(tenants=("a",), actor_id="v"))


def test_rights_survive_as_text_and_any_other_text_is_the_command_line() -> None:
    rights = ReadRights.of(token("exporter", tenants=("a",), projects=("p",)))
    assert ReadRights.from_text(rights.to_text()) == rights
    assert not rights.personal
    assert {ReadRights.from_text(text) for text in ("", "support desk", "[]", "{}", "null")} == {EVERYTHING}


@pytest.mark.parametrize(
    ("question", "tenants", "expected"),
    [
        ("tenant:a", (), "a"),
        ("tenant:a", ("a", "b"), "a"),
        ("tenant:z", ("a",), "a"),
        ("tenant:z", ("a", "b"), ""),
        ("outcome:failure", ("a",), "a"),
        ("outcome:failure", (), ""),
    ],
)
def test_the_tenant_of_an_export_is_one_that_its_requester_reaches(
    question: str, tenants: tuple[str, ...], expected: str
) -> None:
    scope = ReadRights(tenants=tenants).to_text()
    assert ExportRequest(Question(parse(question)), Requester("u"), scope=scope).tenant == expected


def test_a_request_survives_as_data_with_its_requester() -> None:
    by = requester_of(token(tenants=("a",)), Caller("req-1", ip="203.0.113.7"), "api")
    request = ExportRequest(Question(parse("tenant:a"), now=NOW), by)
    assert ExportRequest.from_data(request.to_data()) == request
    assert (by.owner, by.ip, by.request_id) == ("tok_1", "203.0.113.7", "req-1")
    assert set(by.to_shown()) == {"id", "type", "name", "origin"}


def test_a_requester_is_the_person_the_actor_or_the_token() -> None:
    person = Identity(identity_id("i", "s"), "Ann", "exporter", Scope(), NOW, issuer="i", subject="s")
    actor = Token("tok_2", "own", "own_events", Scope(("a",), actor_id="u-1"), NOW)
    found = [requester_of(who, Caller("r"), "api") for who in (person, actor, token())]
    assert [(by.id, by.type) for by in found] == [("s", "user"), ("u-1", "user"), ("tok_1", "api_token")]
    assert [by.owner for by in found] == [person.token_id, "a/u-1", "tok_1"]


def test_another_zone_moves_no_time_that_was_asked_for() -> None:
    berlin, tokyo = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
    text = "actor:ann -(since:2026-06-01T10:00 OR stored_until:2026-06-02) until:2026-06-10T00:00:00Z since:7d"
    question = Question(parse(text), zone=berlin, now=NOW)
    written = written_in(question, tokyo)
    assert written.zone == tokyo
    assert to_text(written.expression) == (
        "actor:ann -(since:2026-06-01T08:00:00+00:00 OR stored_until:2026-06-01T22:00:00+00:00) "
        "until:2026-06-10T00:00:00+00:00 since:2026-06-08T12:00:00+00:00"
    )
    assert written_in(question, berlin) is question
