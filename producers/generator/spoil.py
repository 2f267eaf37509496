"""Messages that are wrong in a known way, made from good ones, with what must become of them.

The reasons are the reason codes of dead letters under default settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from producers.encoding import RecordEncoder
from producers.records import SCHEMA
from schemas.wire import HEADER_BYTES, frame

Record = dict[str, Any]
Fate = Literal["stored", "dead_letter"]
#: Takes a good record and the schema id; returns the spoiled message.
Spoil = Callable[[Record, int], bytes]

_encode = RecordEncoder(SCHEMA["fields"]).encode
_DAY_US = 86_400_000_000
#: No registry hands out ids of this size.
_UNKNOWN_ID = 2_147_000_000
_BLOCKS = ("api", "auth", "run", "task", "export", "hook", "access")


def good(record: Record, schema_id: int) -> bytes:
    """Return the message of a record."""
    return frame(schema_id, _encode(record))


def _with(**changed: object) -> Spoil:
    return lambda record, schema_id: good({**record, **changed}, schema_id)


def _far_future(record: Record, schema_id: int) -> bytes:
    return good({**record, "occurred_at": record["occurred_at"] + 400 * _DAY_US}, schema_id)


def _without_block(record: Record, schema_id: int) -> bytes:
    bare = {k: v for k, v in record.items() if k not in _BLOCKS}
    return good(bare | {"record_kind": "task"}, schema_id)


def _not_utf8(record: Record, schema_id: int) -> bytes:
    marker = "spoil-utf8"
    return good({**record, "message": marker}, schema_id).replace(
        marker.encode(), b"\xff\xfe" + b"x" * (len(marker) - 2)
    )


def _open_json(record: Record, schema_id: int) -> bytes:
    call = {"method": "POST", "route": "/v1/vouchers", "request_body": '{"code": "cut'}
    bare = {k: v for k, v in record.items() if k not in _BLOCKS}
    return good(bare | {"record_kind": "api_call", "event_code": "api.call", "api": call}, schema_id)


#: Kind of damage -> how it is made, what becomes of it, and the reason code or flag.
BAD_KINDS: Mapping[str, tuple[Spoil, Fate, str]] = {
    "truncated": (lambda r, i: good(r, i)[:-3], "dead_letter", "eof"),
    "trailing_bytes": (lambda r, i: good(r, i) + b"\0\1\2", "dead_letter", "trailing_bytes"),
    "wrong_magic": (lambda r, i: b"\1" + good(r, i)[1:], "dead_letter", "frame_magic"),
    "json_text": (lambda r, _: f'{{"tenant_id":"{r["tenant_id"]}"}}'.encode(), "dead_letter", "frame_magic"),
    "short_header": (lambda r, i: good(r, i)[: HEADER_BYTES - 1], "dead_letter", "frame_short"),
    "unknown_schema_id": (lambda r, _: good(r, _UNKNOWN_ID), "dead_letter", "schema_unknown"),
    "empty": (lambda _r, _i: b"", "dead_letter", "empty"),
    "not_utf8": (_not_utf8, "dead_letter", "utf8"),
    "missing_tenant": (_with(tenant_id=""), "dead_letter", "tenant_id_missing"),
    "missing_code": (_with(event_code=""), "dead_letter", "event_code_missing"),
    "bad_uuid": (_with(event_id="not-a-uuid"), "dead_letter", "event_id_invalid"),
    "bad_ip": (_with(ip="300.1.2.3"), "dead_letter", "ip_invalid"),
    "far_future": (_far_future, "dead_letter", "time_in_future"),
    "before_1970": (_with(occurred_at=-1), "dead_letter", "time_out_of_range"),
    "missing_block": (_without_block, "dead_letter", "block_missing"),
    "long_code": (_with(event_code="x" * 600), "dead_letter", "key_too_long"),
    "unknown_code": (_with(event_code="nobody.knows.this"), "stored", "unknown_event_code"),
    "bad_json_body": (_open_json, "stored", "body_not_json"),
}
