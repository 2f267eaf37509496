from __future__ import annotations

import json
from typing import Any

import pytest

from producers import ProducerMisconfigured, ProducerSettings
from producers.masking import Masker
from producers.records import to_record


def _masked(settings: ProducerSettings | None = None, **fields: Any) -> dict[str, Any]:
    record = to_record({"event_code": "a.b", "tenant_id": "t", **fields})
    Masker(settings or ProducerSettings()).apply(record)
    return record


def _message(text: str, **settings: Any) -> str:
    return str(_masked(ProducerSettings(**settings), message=text)["message"])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('{"password": "x", "n": 1.50}', '{"password": "***", "n": 1.50}'),
        ('{"secrets": [1, {"a": "b"}], "z": []}', '{"secrets": "***", "z": []}'),
        ('{"token": null, "secret": "", "pin": false}', '{"token": null, "secret": "", "pin": false}'),
        ('{"token_type": "bearer", "next_page_token": "abc"}', '{"token_type": "bearer", "next_page_token": "abc"}'),
        (
            '{"headers": [{"name": "Authorization", "value": "abc"}]}',
            '{"headers": [{"name": "Authorization", "value": "***"}]}',
        ),
        ('{"a": 1, "a": {"api\\u005fkey": 7}}', '{"a": 1, "a": {"api\\u005fkey": "***"}}'),
        ('{"pan": 4111111111111111, "id": 1764000000000}', '{"pan": "***", "id": 1764000000000}'),
        ('{"password": "cut he', '{"password": "***"'),
        ("user=bob&pass%77ord=a%26b&x=1", "user=bob&pass%77ord=***&x=1"),
        ("https://u:pw@h.example/a?key=1&access_token=abc#t", "https://u:***@h.example/a?key=1&access_token=***#t"),
        ("Authorization: Basic dXNlcjpwYXNz\r\nAccept: */*", "Authorization: ***\r\nAccept: */*"),
        ("sent Basic dXNlcjpwYXNz to it", "sent Basic *** to it"),
        ("basic authentication is off", "basic authentication is off"),
        ("card 4111 1111 1111 1111.", "card ***."),
        ("card 4111 1111 1111 1112.", "card 4111 1111 1111 1112."),
        ("4111-1111-1111-1111 and 378282246310005", "*** and ***"),
        ("took 0.4111111111111111 s at 1764000000000", "took 0.4111111111111111 s at 1764000000000"),
        ("call +4915112345678", "call +4915112345678"),
        ("00000000-4111-1111-1111-111111111111", "00000000-4111-1111-1111-111111111111"),
        ("key " + "sk" + "_live_" + "a1B2c3D4e5F6g7", "key ***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- after", "*** after"),
        ('log {"x":1} "password": "a \\" b", done', 'log {"x":1} "password": "***", done'),
        ("password=hunter2, user=bob", "password=***, user=bob"),
    ],
)
def test_a_text_is_masked_where_it_is_secret_and_nowhere_else(text: str, masked: str) -> None:
    assert _message(text) == masked


def test_what_was_masked_is_noted_by_field_rule_and_count() -> None:
    record = _masked(
        details={"api_key": "abc", "note": "Bearer abcdefgh12 and Bearer abcdefgh13"},
        changes=[{"field": "password", "before": "a", "after": None}, {"field": "name", "before": "x", "after": "y"}],
    )
    assert record["details"] == {"api_key": "***", "note": "Bearer *** and Bearer ***"}
    assert [(c["before"], c.get("after"), c.get("masked")) for c in record["changes"]] == [
        ("***", None, True),
        ("x", "y", None),
    ]
    assert record["redactions"] == [
        {"field": "details.api_key", "rule": "name", "count": 1},
        {"field": "details.note", "rule": "bearer", "count": 2},
        {"field": "changes.password", "rule": "name", "count": 1},
    ]


def test_redactions_that_the_service_made_itself_are_kept() -> None:
    own = {"field": "message", "rule": "own", "count": 1}
    assert _masked(redactions=[own], details={"pwd": "x"})["redactions"][0] == own


def test_two_keys_that_differ_in_their_secret_only_both_stay() -> None:
    details = _masked(details={"4111111111111111": "a", "378282246310005": "b"})["details"]
    assert list(details.values()) == ["a", "b"]


def test_identifiers_are_left_alone() -> None:
    record = _masked(actor_id="4111111111111111", request_id="4111111111111111", message="token=x")
    assert (record["actor_id"], record["request_id"]) == ("4111111111111111", "4111111111111111")


def test_users_add_names_and_patterns_and_switch_rules_off() -> None:
    assert _message("geheim_wort: abc", mask_names=("Geheim-Wort",)) == "geheim_wort: ***"
    assert _message("password=abc", mask_allow=("pass_word",)) == "password=abc"
    assert _message("nr K-12345 x", mask_patterns={"customer": r"nr (?P<secret>K-[0-9]+)"}) == "nr *** x"
    assert _message("4111111111111111", mask_rules_off=("card",)) == "4111111111111111"
    assert json.loads(_message('{"n": 4111111111111111}', mask_rules_off=("card",))) == {"n": 4111111111111111}


def test_wrong_rules_are_all_reported_at_once() -> None:
    with pytest.raises(ProducerMisconfigured) as caught:
        Masker(ProducerSettings(mask_patterns={"x": "("}, mask_rules_off=("cards",)))
    assert len(caught.value.problems) == 2


def test_json_nested_beyond_all_reason_does_not_end_the_process() -> None:
    assert "hunter2" not in _message("[" * 100_000 + '{"password":"hunter2"}')


def test_what_a_webhook_sent_is_kept_without_its_secrets() -> None:
    sent = {"request_body": {"order": 7, "api_key": "k-1"}, "query_params": "key=abcdef&access_token=abc"}
    record = _masked(hook={"sendout_id": "s"}, api=sent, details={"header.Authorization": "Bearer abcdef123456"})
    assert json.loads(record["api"]["request_body"]) == {"order": 7, "api_key": "***"}
    assert "abc" not in record["api"]["query_params"].partition("access_token")[2]
    assert "abcdef123456" not in str(record["details"])
