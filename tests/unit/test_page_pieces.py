"""Small pieces of the page: texts, addresses, sessions, the brake on sign-ins, zones, intervals of the timeline."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from pydantic import ValidationError
from starlette.requests import Request

from query.access import Scope, Token
from query.aggregates import Bucket
from query.question import Question
from query.web import links, texts
from query.web.session import Sessions
from query.web.static_files import StaticFiles
from query.web.throttle import Throttle
from query.web.timeline import HEIGHT, WIDTH, drawn
from query.web.zones import zone_of
from query.web_settings import PageSettings

BERLIN = ZoneInfo("Europe/Berlin")


@given(st.text())
def test_no_text_becomes_markup_and_none_of_it_is_lost(text: str) -> None:
    shown = texts.bidi_safe(text)
    assert shown.startswith("<bdi>")
    inside = Markup(shown[len("<bdi>") : -len("</bdi>")])
    assert "<" not in inside.replace('<span class="control" title="', "").replace("</span>", "")
    if text.isascii() and text.isprintable():
        # What has no characters to be made visible is the text itself.
        assert inside.unescape() == text


def test_characters_that_hide_or_turn_text_are_shown() -> None:
    shown = str(texts.visible("a\u202eb\x00c\u200bd\x7fe\nf"))
    for mark in ("U+202E", "\u2400", "U+200B", "\u2421"):
        assert f">{mark}</span>" in shown
    assert shown.endswith("e\nf")


def test_moments_have_their_zone_and_the_exact_time_in_utc_beside_them() -> None:
    moment = datetime(2026, 7, 1, 22, 30, 0, 123456, tzinfo=UTC)
    shown = texts.moment(moment, BERLIN)
    assert 'datetime="2026-07-01T22:30:00.123456Z"' in shown
    assert 'title="2026-07-01 22:30:00.123456 UTC"' in shown
    assert ">2026-07-02 00:30:00.123<" in shown


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (texts.duration(None), "—"),
        (texts.duration(12), "12 ms"),
        (texts.duration(1500), "1.5 s"),
        (texts.duration(125_000), "2 min 5 s"),
        (texts.duration(7_260_000), "2 h 1 min"),
        (texts.size(10), "10 B"),
        (texts.size(1536), "1.5 KiB"),
        (texts.number(1234567), "1\u202f234\u202f567"),
    ],
)
def test_figures_are_written_as_people_read_them(shown: str, expected: str) -> None:
    assert shown == expected


@pytest.mark.parametrize(
    "given_", ["", "x", "//evil", "/\\evil", "http://evil/", "/\tx", "/a b", "javascript:x", "/\n/evil", "\\\\evil"]
)
def test_only_a_path_of_ours_is_followed(given_: str) -> None:
    assert links.local_path(given_, "/here") == "/here"


def test_a_path_of_ours_is_kept_whole() -> None:
    assert links.local_path("/journal?q=a%20b&q=c#d") == "/journal?q=a%20b&q=c#d"
    assert links.without("/journal?tz=UTC&q=a+b&tz=x", "tz") == "/journal?q=a+b"


def test_a_session_is_what_was_signed_until_it_ends() -> None:
    sessions = Sessions("k" * 32, 1.0)
    session = sessions.begin("token", "tok_1")
    cookie = sessions.to_cookie(session)
    assert sessions.of_cookie(cookie) == session
    assert Sessions("k" * 32, 1.0).of_cookie(cookie) == session
    assert Sessions("", 1.0).of_cookie(cookie) is None
    kept, _, signature = cookie.rpartition(".")
    # The first character: the last one has bits that stand for nothing.
    assert sessions.of_cookie(f"{kept}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}") is None
    assert sessions.of_cookie(sessions.sign("notice", ["token", "tok_1", 9e12, "n", {}])) is None
    assert sessions.of_cookie(sessions.to_cookie(sessions.begin("token", "t", expires_at=time.time() - 1))) is None
    sessions.end(session)
    assert sessions.of_cookie(cookie) is None


def test_an_address_waits_after_its_failures_and_others_do_not() -> None:
    now = [0.0]
    throttle = Throttle(2, lambda: now[0])
    throttle.failed("a")
    assert throttle.wait_s("a") == 0
    now[0] = 10.0
    throttle.failed("a")
    assert throttle.wait_s("a") == 50
    assert throttle.wait_s("b") == 0
    now[0] = 60.0
    assert throttle.wait_s("a") == 0


def request_with(query: str = "", cookie: str = "") -> Request:
    headers = [(b"cookie", cookie.encode())] if cookie else []
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": headers})


def test_the_zone_is_that_of_the_address_then_the_chosen_then_the_project() -> None:
    settings = PageSettings(zone="Europe/Berlin", project_zones={"p": "Asia/Tokyo"})
    token = Token("t", "n", "auditor", Scope(projects=("p",)), datetime.now(UTC))
    assert zone_of(request_with(), settings, None).label == "Europe/Berlin (project time)"
    assert zone_of(request_with(), settings, token).name == "Asia/Tokyo"
    assert zone_of(request_with("project=p"), settings, None).name == "Asia/Tokyo"
    chosen = "auditstream_zone=browser; auditstream_browser_zone=America/New_York"
    assert zone_of(request_with(cookie=chosen), settings, token).label == "America/New_York (your browser's time)"
    assert zone_of(request_with("tz=UTC", chosen), settings, token).label == "UTC"
    for broken in ("auditstream_zone=../etc/passwd", "auditstream_zone=browser; auditstream_browser_zone=x"):
        assert zone_of(request_with(cookie=broken), settings, None).choice == "project"


@pytest.mark.parametrize(
    "wrong", [{"zone": "Nowhere"}, {"project_zones": {"p": "x"}}, {"session_key": "short"}, {"public_url": "ftp://x"}]
)
def test_wrong_settings_are_refused_with_what_was_expected(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="expected"):
        PageSettings.model_validate(wrong)


def test_days_of_the_timeline_end_where_the_next_begins_also_when_clocks_change() -> None:
    starts = [datetime(2026, 3, day, tzinfo=BERLIN) for day in (28, 29, 30)]
    question = Question(zone=BERLIN, now=datetime(2026, 3, 31, tzinfo=UTC))
    line = drawn([Bucket(start, n + 1) for n, start in enumerate(starts)], "day", starts[0], None, question)
    assert [bar.until for bar in line.bars[:2]] == [bar.since for bar in line.bars[1:]]
    assert (line.bars[1].end.astimezone(UTC) - line.bars[1].start.astimezone(UTC)).total_seconds() == 23 * 3600
    assert line.most == 3
    assert line.bars[-1].height == HEIGHT
    assert all(0 <= bar.x <= WIDTH and bar.x + bar.width <= WIDTH for bar in line.bars)


def test_months_of_the_timeline_are_of_the_calendar() -> None:
    starts = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 12)]
    question = Question(now=datetime(2026, 12, 3, tzinfo=UTC))
    line = drawn([Bucket(start, 1) for start in starts], "month", None, None, question)
    assert [bar.until for bar in line.bars] == ["2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", "2027-01-01T00:00:00Z"]


def test_addresses_of_files_change_with_their_content() -> None:
    static = StaticFiles()
    assert static.url("page.css").startswith("/static/")
    assert len({static.url(name).split("/")[2] for name in ("page.css", "page.js", "journal.css")}) == 3
    with pytest.raises(KeyError):
        static.url("nothing.css")
