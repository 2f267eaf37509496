"""Signatures, routes and settings of re-sending."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from auditstream.settings import SettingsError, load_settings
from query.access import Scope, Token
from query.access.identity import Identity
from query.resend import Ask, Asker, AskInvalid, NoRoute, Sendout
from query.resend.request import resend_id
from query.resend.routes import route_of
from query.resend.signature import signature, verify
from query.resend_settings import RouteSettings

SECRET = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 6, 15, tzinfo=UTC)
ASKER = Asker("user", "u-1", "Ann")


def sendout(tenant: str = "acme", source: str = "shop", event_type: str = "order.paid") -> Sendout:
    return Sendout("so-1", tenant, "", source, event_type, "o-1", "error", 3, "e-1", "", "r-1", NOW)


def route(**given: str) -> RouteSettings:
    return RouteSettings.model_validate({"topic": "t", **given})


def test_a_signature_is_the_hmac_of_time_dot_body() -> None:
    digest = hmac.new(SECRET.encode(), b'1750000000.{"a":1}', hashlib.sha256).hexdigest()
    assert signature(SECRET, 1750000000, b'{"a":1}') == f"t=1750000000,v1={digest}"


@pytest.mark.parametrize(
    ("header", "body", "now", "right"),
    [
        (None, b"body", 1000, True),
        (None, b"body", 1300, True),
        (None, b"body", 1301, False),
        (None, b"bodY", 1000, False),
        ("t=1000", b"body", 1000, False),
        ("t=,v1=00", b"body", 1000, False),
        ("t=١٢,v1=00", b"body", 1000, False),
        ("", b"body", 1000, False),
    ],
)
def test_a_changed_or_old_call_is_not_taken_for_a_signed_one(
    header: str | None, body: bytes, now: int, right: bool
) -> None:
    signed = signature(SECRET, 1000, b"body") if header is None else header
    assert verify(SECRET, signed, body, now) is right


def test_another_secret_signs_nothing_for_this_one() -> None:
    assert not verify(SECRET, signature(SECRET.upper(), 1000, b"body"), b"body", 1000)


def test_the_first_route_that_matches_tenant_source_and_type_is_taken() -> None:
    routes = {
        "refunds": route(tenant="acme", source="shop", type="refund.*"),
        "orders": route(tenant="acme", type="order.*"),
        "rest": route(source="shop"),
    }
    assert route_of(routes, sendout()) == "orders"
    assert route_of(routes, sendout(event_type="refund.done")) == "refunds"
    assert route_of(routes, sendout(tenant="globex")) == "rest"


def test_without_a_matching_route_the_setting_is_named() -> None:
    with pytest.raises(NoRoute, match=r"tenant 'acme', source 'shop' and type 'order.paid'.*resend\.routes"):
        route_of({"other": route(tenant="acm")}, sendout())


def test_a_pattern_without_star_is_the_whole_name() -> None:
    with pytest.raises(NoRoute):
        route_of({"part": route(type="order")}, sendout())


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "exactly one of url and topic"),
        ({"url": "https://shop.example/r", "topic": "t", "secret": SECRET}, "exactly one of url and topic"),
        ({"url": "https://shop.example/r"}, "a secret of at least 24 characters"),
        ({"url": "https://shop.example/r", "secret": "short"}, "a secret of at least 24 characters"),
        ({"url": "ftp://shop.example/r", "secret": SECRET}, "http:// or https://"),
        ({"url": "https:///r", "secret": SECRET}, "and a host"),
        ({"url": "https://ann:pw@shop.example/r", "secret": SECRET}, "without user, password"),
        ({"topic": "no blanks"}, "pattern"),
        ({"topic": "t", "attempts": 0}, "greater than or equal to 1"),
    ],
)
def test_a_route_that_contradicts_itself_is_refused(given: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        RouteSettings.model_validate(given)


def test_a_wrong_route_is_told_without_its_secret() -> None:
    shop = {"url": "https://ann:pw-in-url@shop.example/r", "secret": SECRET}
    with pytest.raises(SettingsError) as caught:
        load_settings(resend={"routes": {"shop": shop}})
    text = str(caught.value)
    assert "resend.routes.shop" in text
    assert SECRET not in text
    assert "pw-in-url" not in text


def test_the_same_key_has_the_same_id_for_one_sendout_only() -> None:
    assert resend_id(sendout(), "k") == resend_id(sendout(event_type="x"), "k")
    assert len({resend_id(sendout(), "k"), resend_id(sendout(), "l"), resend_id(sendout(tenant="globex"), "k")}) == 3


@pytest.mark.parametrize(("reason", "key"), [("", "k"), ("   ", "k"), ("x" * 501, "k"), ("why", ""), ("why", "a\nb")])
def test_a_request_needs_a_reason_and_a_usable_key(reason: str, key: str) -> None:
    with pytest.raises(AskInvalid):
        Ask(ASKER, reason, key)


def test_who_asks_is_the_person_the_actor_of_the_token_or_the_token() -> None:
    desk = Token("tok_aaaaaaaaaa", "desk", "operator", Scope(), NOW)
    assert Asker.of(desk, "203.0.113.7", "api") == Asker("api_token", "tok_aaaaaaaaaa", "desk", "203.0.113.7", "api")
    own = Token("tok_bbbbbbbbbb", "Ann's", "operator", Scope(("acme",), actor_id="u-1"), NOW)
    assert Asker.of(own, "", "api").id == "u-1"
    ann = Identity("oidc_1", "Ann", "operator", Scope(), NOW, issuer="https://id.example", subject="s-1")
    assert (Asker.of(ann, "", "dashboard").type, Asker.of(ann, "", "dashboard").id) == ("user", "s-1")
