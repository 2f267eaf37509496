"""Which events are refused, and in which words."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from audit_batches import NOW_MS, decode, event, new_decoder
from consumers.decode import Decoder
from consumers.settings import ValidateSettings
from consumers.validation import Flag, Reason, Validator, Verdict
from consumers.validation.limits import BODIES, TEXTS, event_fields
from consumers.validation.reasons import shown
from consumers.validation.times import LAST_US

CODES = frozenset({"campaign.activate", "api.call"})
FIRST_OF_2300_US = 10_413_792_000_000_000


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return new_decoder()


def judge(decoder: Decoder, *events: Mapping[str, Any], drop: tuple[str, ...] = (), **settings: Any) -> Verdict:
    validator = Validator(ValidateSettings(**settings), CODES, drop)
    return validator.validate(decode(events, decoder), np.full(len(events), NOW_MS, np.int64))


def reasons(verdict: Verdict) -> list[str]:
    return [r.reason_code for r in verdict.rejections]


def flags(verdict: Verdict) -> list[set[Flag]]:
    return [{flag for flag in Flag if flag.bit & bits} for bits in verdict.flags.tolist()]


def test_a_sound_event_is_accepted_without_flags(decoder: Decoder) -> None:
    verdict = judge(decoder, event())
    assert verdict.accepted.tolist() == [0]
    assert verdict.rejections == []
    assert flags(verdict) == [set()]


def test_neighbours_of_a_refused_event_are_accepted(decoder: Decoder) -> None:
    verdict = judge(decoder, event(), event(tenant_id=""), event())
    assert verdict.accepted.tolist() == [0, 2]
    assert [(r.position, r.stage) for r in verdict.rejections] == [(1, "validate")]


@pytest.mark.parametrize("value", ["", " ", "\t\n"])
def test_tenant_and_event_code_must_not_be_blank(decoder: Decoder, value: str) -> None:
    assert reasons(judge(decoder, event(tenant_id=value))) == ["tenant_id_missing"]
    assert reasons(judge(decoder, event(event_code=value))) == ["event_code_missing"]


def test_an_event_id_is_read_in_rfc_byte_order_in_either_case(decoder: Decoder) -> None:
    ids = [uuid.uuid4() for _ in range(3)]
    verdict = judge(
        decoder, event(event_id=str(ids[0])), event(event_id=str(ids[1]).upper()), event(event_id=str(ids[2]))
    )
    assert [row.tobytes() for row in verdict.event_ids] == [i.bytes for i in ids]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0" * 36,
        "00000000-0000-0000-0000-00000000000g",
        "{00000000-0000-0000-0000-00000000000}",
        "00000000000000000000000000000001",
        "00000000-0000-0000-0000-0000000000001",
        "00000000-0000-0000-0000-00000000000é"[:36],
        "0000000\0-0000-0000-0000-000000000000",
    ],
)
def test_what_is_no_uuid_is_refused_with_its_text(decoder: Decoder, text: str) -> None:
    verdict = judge(decoder, event(), event(event_id=text))
    assert reasons(verdict) == ["event_id_invalid"]
    assert shown(text) in verdict.rejections[0].reason
    assert verdict.rejections[0].event_id == text
    assert verdict.event_ids[0].tobytes() == uuid.UUID(int=1).bytes


@pytest.mark.parametrize(
    ("occurred_us", "refused"),
    [
        (-1, ["time_out_of_range"]),
        (0, []),
        (NOW_MS * 1000, []),
        (NOW_MS * 1000 + 86_400_000_000, []),
        (NOW_MS * 1000 + 86_400_000_001, ["time_in_future"]),
        (7_258_118_400_000_000, ["time_in_future"]),
        (FIRST_OF_2300_US, ["time_out_of_range"]),
        (-(2**63), ["time_out_of_range"]),
        (2**63 - 1, ["time_out_of_range"]),
    ],
)
def test_occurred_at_lies_between_1970_and_a_day_ahead(decoder: Decoder, occurred_us: int, refused: list[str]) -> None:
    assert reasons(judge(decoder, event(occurred_at=occurred_us))) == refused


def test_an_event_of_2200_is_accepted_where_the_setting_allows_it(decoder: Decoder) -> None:
    verdict = judge(decoder, event(occurred_at=7_258_118_400_000_000), max_future_s=1e10)
    assert reasons(verdict) == []
    assert verdict.skew_ms.tolist() == [7_258_118_400_000 - NOW_MS]


@pytest.mark.parametrize("path", [p for p in event_fields().times if p != "occurred_at"])
@pytest.mark.parametrize(
    ("time_us", "ok"), [(None, True), (0, True), (LAST_US, True), (-1, False), (LAST_US + 1, False)]
)
def test_every_other_time_lies_between_1970_and_2299(
    decoder: Decoder, path: str, time_us: int | None, ok: bool
) -> None:
    block, field = path.split(".")
    verdict = judge(decoder, event(**{block: {field: time_us}}))
    assert reasons(verdict) == ([] if ok else ["time_out_of_range"])
    assert ok or path in verdict.rejections[0].reason


@pytest.mark.parametrize(
    ("late_us", "flagged", "skew_ms"),
    [(-(10**9), False, 0), (0, False, 0), (5_000_000, False, 5000), (5_000_001, True, 5000), (6_000_999, True, 6000)],
)
def test_a_clock_that_is_ahead_is_measured_and_flagged(
    decoder: Decoder, late_us: int, flagged: bool, skew_ms: int
) -> None:
    verdict = judge(decoder, event(occurred_at=NOW_MS * 1000 + late_us))
    assert verdict.skew_ms.tolist() == [skew_ms]
    assert flags(verdict) == [{Flag.CLOCK_SKEW} if flagged else set()]


@pytest.mark.parametrize("timestamp_ms", [-1, 0, -(2**63), LAST_US // 1000 + 1, 2**63 - 1])
def test_a_record_without_usable_timestamp_is_flagged_and_not_compared(decoder: Decoder, timestamp_ms: int) -> None:
    decoded = decode([event(occurred_at=7_258_118_400_000_000)], decoder)
    verdict = Validator(ValidateSettings(), CODES).validate(decoded, np.array([timestamp_ms], np.int64))
    assert reasons(verdict) == []
    assert verdict.received_ms.tolist() == [0]
    assert flags(verdict) == [{Flag.NO_KAFKA_TIME}]


def nested(path: str, value: object) -> dict[str, Any]:
    head, _, tail = path.partition(".")
    return {head: {tail: value}} if tail else {head: value}


@pytest.mark.parametrize("path", [p for p in event_fields().strings if p not in {"event_id", "ip"}])
def test_every_string_has_a_limit_that_it_may_reach_exactly(decoder: Decoder, path: str) -> None:
    most, reason = (20, "key_too_long")
    if path in TEXTS | BODIES:
        most, reason = (40, "text_too_long") if path in TEXTS else (60, "body_too_long")
    fitting, long = event(**nested(path, "é" * (most // 2))), event(**nested(path, "é" * (most // 2) + "x"))
    verdict = judge(decoder, fitting, long, fitting, max_key_bytes=20, max_text_bytes=40, max_body_bytes=60)
    assert [(r.position, r.reason_code) for r in verdict.rejections] == [(1, reason)]
    assert f"{path} is {most + 1} bytes long, at most {most} are allowed" in verdict.rejections[0].reason


def item_of(path: str, text: str | None) -> dict[str, Any]:
    head, _, tail = path.partition(".")
    if head == "access":
        return {"access": {"filter_fields": [text]}}
    return {head: [{tail: text}]} if tail else {head: [text]}


@pytest.mark.parametrize("path", event_fields().string_lists)
def test_every_string_in_a_list_has_a_limit(decoder: Decoder, path: str) -> None:
    most = 40 if path in TEXTS else 20
    rows = [
        event(),
        event(**item_of(path, "x" * most)),
        event(**item_of(path, "x" * (most + 1))),
        event(**item_of(path, "y")),
    ]
    verdict = judge(decoder, *rows, max_key_bytes=20, max_text_bytes=40)
    assert [(r.position, r.reason_code) for r in verdict.rejections] == [
        (2, "text_too_long" if most == 40 else "key_too_long")
    ]


@pytest.mark.parametrize("path", ["details", "labels"])
def test_keys_and_values_of_maps_have_limits_of_their_own(decoder: Decoder, path: str) -> None:
    rows = [
        {path: {"k" * 20: "v" * 40}},
        {path: {"k" * 21: "v"}},
        {path: {"k": "v" * 41}},
        {path: {"a": "", "k" * 21: "v" * 41}},
    ]
    verdict = judge(decoder, *(event(**row) for row in rows), max_key_bytes=20, max_text_bytes=40)
    assert [(r.position, r.reason_code) for r in verdict.rejections] == [
        (1, "key_too_long"),
        (2, "text_too_long"),
        (3, "key_too_long"),
    ]
    assert f"key of {path} is 21 bytes" in verdict.rejections[2].reason
    assert f"; {path} is 41 bytes" in verdict.rejections[2].reason


@pytest.mark.parametrize("path", [*event_fields().lists, "details"])
def test_lists_and_maps_have_at_most_so_many_entries(decoder: Decoder, path: str) -> None:
    def of(entries: int) -> dict[str, Any]:
        if path == "details":
            return event(details={str(i): "" for i in range(entries)})
        ((head, value),) = item_of(path, "").items()
        if head == "access":
            return event(access={"filter_fields": [""] * entries})
        return event(**{head: value * entries})

    verdict = judge(decoder, of(2), of(3), of(0), max_items=2)
    assert [(r.position, r.reason_code) for r in verdict.rejections] == [(1, "too_many_items")]
    assert "3 entries, at most 2" in verdict.rejections[0].reason


def test_an_unknown_event_code_is_flagged_or_refused_by_setting(decoder: Decoder) -> None:
    flagged = judge(decoder, event(event_code="nobody.knows"), event())
    assert flags(flagged) == [{Flag.UNKNOWN_EVENT_CODE}, set()]
    assert flagged.accepted.tolist() == [0, 1]
    refused = judge(decoder, event(event_code="nobody.knows"), event(), catalogue="strict")
    assert reasons(refused) == ["unknown_event_code"]
    assert "'nobody.knows'" in refused.rejections[0].reason


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        ("api_call", "api"),
        ("auth", "auth"),
        ("run_log", "run"),
        ("task", "task"),
        ("export", "export"),
        ("webhook", "hook"),
        ("access", "access"),
    ],
)
def test_a_record_kind_needs_its_block(decoder: Decoder, kind: str, block: str) -> None:
    rows = [event(record_kind=kind), event(record_kind=kind, **{block: {}})]
    refused = judge(decoder, *rows)
    assert [(r.position, r.reason_code) for r in refused.rejections] == [(0, "block_missing")]
    assert block in refused.rejections[0].reason
    assert flags(judge(decoder, *rows, block="flag")) == [{Flag.BLOCK_MISSING}, set()]


@pytest.mark.parametrize("kind", ["action", "system", "other"])
def test_the_other_record_kinds_need_no_block_and_may_have_any(decoder: Decoder, kind: str) -> None:
    assert reasons(judge(decoder, event(record_kind=kind), event(record_kind=kind, api={}))) == []


@pytest.mark.parametrize("ip", ["", "1.2.3.4", "::", "::1", "2001:DB8::1", "::ffff:1.2.3.4", "fe80::1"])
def test_plain_addresses_are_accepted(decoder: Decoder, ip: str) -> None:
    assert reasons(judge(decoder, event(ip=ip))) == []


@pytest.mark.parametrize(
    "ip",
    [
        "01.2.3.4",
        "1.2.3.4:80",
        "[::1]",
        "[::1]:80",
        "fe80::1%eth0",
        "1.2.3",
        "1.2.3.256",
        " 1.2.3.4",
        "1.2.3.4/32",
        "localhost",
        "1.2.3.4\0",
        "\u0661.2.3.4",
        ":::",
        "x" * 400,
    ],
)
def test_anything_but_a_plain_address_is_refused(decoder: Decoder, ip: str) -> None:
    verdict = judge(decoder, event(ip="1.2.3.4"), event(ip=ip))
    assert [(r.position, r.reason_code) for r in verdict.rejections] == [(1, "ip_invalid")]
    assert shown(ip) in verdict.rejections[0].reason


@pytest.mark.parametrize("field", ["request_body", "response_body"])
@pytest.mark.parametrize(
    ("body", "ok"),
    [
        ("", True),
        ("text", True),
        (" {", True),
        ("{}", True),
        ('[1, {"a": null}]', True),
        ("{", False),
        ("[1,]", False),
        ("{} {}", False),
        ("[NaN]", False),
    ],
)
def test_a_body_that_begins_like_json_must_parse(decoder: Decoder, field: str, body: str, ok: bool) -> None:
    rows = [event(api={field: "{}"}), event(api={field: body}), event(api={field: "plain"})]
    assert flags(judge(decoder, *rows)) == [set(), set() if ok else {Flag.BODY_NOT_JSON}, set()]
    assert reasons(judge(decoder, *rows, json_bodies="strict")) == ([] if ok else ["body_not_json"])
    assert flags(judge(decoder, *rows, json_bodies="off")) == [set()] * 3


def test_a_body_that_its_producer_cut_need_not_parse(decoder: Decoder) -> None:
    assert flags(judge(decoder, event(api={"request_body": '{"a":', "truncated": True}))) == [set()]


def test_several_problems_are_all_told_and_the_first_by_order_names_the_reason(decoder: Decoder) -> None:
    bad = event(tenant_id="", event_id="x", occurred_at=-1, ip="?", message="m" * 30)
    (rejection,) = judge(decoder, bad, max_text_bytes=20).rejections
    assert rejection.reason_code == "tenant_id_missing"
    parts = rejection.reason.split("; ")
    assert [part.split()[0] for part in parts] == ["tenant_id", "event_id", "occurred_at", "message", "ip"]


def test_reasons_show_values_shortened_and_printable() -> None:
    assert shown("\0\u202eabc\n") == r"'\x00\u202eabc\n'"
    assert shown("שלום") == "'שלום'"
    assert shown("x" * 81) == f"'{'x' * 80}'… (81 characters)"


def test_dropped_codes_are_counted_and_neither_stored_nor_refused(decoder: Decoder) -> None:
    rows = [event(), event(event_code="debug.a", tenant_id=""), event(event_code="debug"), event(event_code="x")]
    verdict = judge(decoder, *rows, drop=("debug.*", "x"))
    assert verdict.filtered == 2
    assert verdict.accepted.tolist() == [0, 2]
    assert verdict.rejections == []


def test_odd_text_is_accepted_as_it_is(decoder: Decoder) -> None:
    odd = event(message="a\0b", target_name="مرحبا\u202e", details={"\0": "\0"}, tenant_id="a\0")
    assert reasons(judge(decoder, odd)) == []


def test_a_batch_without_rows_is_judged(decoder: Decoder) -> None:
    verdict = judge(decoder)
    assert verdict.accepted.tolist() == []
    assert verdict.event_ids.shape == (0, 16)


def test_every_reason_has_a_page_entry_in_documented_order(pytestconfig: pytest.Config) -> None:
    page = (pytestconfig.rootpath / "docs" / "validation.md").read_text(encoding="utf-8")
    places = [page.index(f"| `{reason.value}` |") for reason in Reason]
    assert places == sorted(places)
    assert all(f"| `{flag.value}` |" in page for flag in Flag)


def test_a_long_word_is_found_whenever_it_enters_the_dictionary_and_as_long_as_it_is_there(decoder: Decoder) -> None:
    validator = Validator(ValidateSettings(max_key_bytes=50), CODES)

    def refused(*tenants: str) -> list[int]:
        decoded = decode([event(tenant_id=tenant) for tenant in tenants], decoder)
        return [r.position for r in validator.validate(decoded, np.full(len(tenants), NOW_MS, np.int64)).rejections]

    assert refused("fits", "fits too") == []
    assert refused("fits", "t" * 51, "new") == [1]
    assert refused("fits", "another") == []
    assert refused("t" * 51, "fits") == [0]
