"""The canonical form of rows, held against a second writing of docs/tables.md that is slow and plain."""

from __future__ import annotations

import hashlib
import random
import struct
from functools import cache
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from infrastructure.canonical import plainly
from schemas.columns import event_columns
from sinks.digest import digest_by_day
from sinks.manifest import NO_PREVIOUS, describe, manifest_of, manifest_row
from sinks.rows import EVENTS, schema_of
from sinks.sink import OffsetRange
from sinks.testing import batch

RANGE = OffsetRange("audit.events", UUID(int=7), 0, 0, 39)
DAY_MS = 86_400_000


@cache
def sample(**changes: Any) -> pa.Table:
    rng = random.Random(4)
    values = {
        o: {
            "geo_city": rng.choice(["", "Lisbon", "Łódź"]),
            "message": rng.choice(["", "a\0b", "שלום"]),
            "details": [("k", "v")] * rng.randrange(3),
            "changes.before": rng.choice([[], [None], ["", "x"]]),
            "actor_roles": rng.choice([[], ["admin"], ["admin", "user"]]),
            "duration_ms": rng.choice([None, 0, 5]),
            "run_value_num": rng.choice([None, -0.0, 1.5]),
            "auth_mfa": rng.choice([True, False]),
            "auth_new_device": rng.choice([True, False, None]),
            "expires_at": 4_102_444_800_000 + rng.randrange(3) * DAY_MS,
        }
        | changes
        for o in range(40)
    }
    return batch(RANGE, values=values).events


def digests(rows: pa.Table) -> list[tuple[int, int, bytes]]:
    return [(d.day, d.rows, d.sha256) for d in digest_by_day(rows, event_columns())]


def test_the_digest_is_that_of_the_documented_form() -> None:
    rows = sample()
    assert digests(rows) == plainly(rows, event_columns())


def test_the_digest_of_one_row_is_that_of_the_documented_form() -> None:
    rows = sample().slice(11, 1)
    assert digests(rows) == plainly(rows, event_columns())


def test_no_rows_have_no_digest() -> None:
    assert digests(sample().slice(0, 0)) == []


def test_chunking_and_slicing_do_not_change_the_digest() -> None:
    rows = sample()
    pieces = pa.concat_tables([rows.slice(0, 7), rows.slice(7, 1), rows.slice(8)])
    padded = pa.concat_tables([rows.slice(30), rows]).slice(10)
    assert digests(pieces) == digests(padded) == digests(rows)


def test_dictionary_encoding_does_not_change_the_digest() -> None:
    rows = sample()
    encoded = rows
    for name in ("geo_city", "message", "event_code"):
        encoded = encoded.set_column(rows.column_names.index(name), name, rows[name].dictionary_encode())
    halves = pa.concat_tables([encoded.slice(0, 20), encoded.slice(20)])
    assert digests(encoded) == digests(halves) == digests(rows)


def test_text_as_raw_bytes_has_the_same_digest() -> None:
    rows = sample()
    raw_rows = rows.set_column(rows.column_names.index("message"), "message", rows["message"].cast(pa.large_binary()))
    assert digests(raw_rows) == digests(rows)


@pytest.mark.parametrize("name", [c.name for c in event_columns()])
def test_a_change_in_any_column_changes_the_digest(name: str) -> None:
    rows = sample()
    kind = schema_of(EVENTS).field(name).type
    changed = pa.concat_arrays(
        [pa.array([another(kind, rows[name][0].as_py())], kind), rows[name].combine_chunks()[1:]]
    )
    assert digests(rows.set_column(rows.column_names.index(name), name, changed)) != digests(rows)


def another(kind: pa.DataType, value: Any) -> Any:
    if pa.types.is_fixed_size_binary(kind):
        return bytes([value[0] ^ 1]) + value[1:]
    if pa.types.is_map(kind):
        return [*value, ("another", "")]
    if pa.types.is_list(kind):
        return [*value, another(kind.value_type, None)]
    if pa.types.is_boolean(kind):
        return not value
    if pa.types.is_string(kind):
        return (value or "") + "x"
    return 12_345 if pa.types.is_timestamp(kind) else (value or 0) + 1


def test_a_column_that_holds_only_defaults_leaves_no_trace_so_that_later_columns_keep_old_digests() -> None:
    rows = sample(geo_city="", message="")
    fewer = tuple(c for c in event_columns() if c.name not in {"geo_city", "message", "labels", "task_started_at"})
    assert digest_by_day(rows, fewer) == digest_by_day(rows, event_columns())


def test_values_cannot_move_to_the_neighbouring_row_unseen() -> None:
    def pair(first: str, second: str) -> pa.Table:
        return (
            sample(message="", expires_at=4_102_444_800_000)
            .slice(0, 2)
            .set_column(schema_of(EVENTS).names.index("message"), "message", pa.array([first, second]))
        )

    assert digests(pair("ab", "c")) != digests(pair("a", "bc"))


def test_minus_zero_is_not_zero() -> None:
    # Built anew, because -0.0 and 0.0 are one key of the cache.
    assert digests(sample.__wrapped__(run_value_num=-0.0)) != digests(sample.__wrapped__(run_value_num=0.0))


def test_null_is_not_the_default() -> None:
    assert digests(sample(duration_ms=None)) != digests(sample(duration_ms=0))


def test_a_manifest_survives_its_row() -> None:
    manifest = describe(RANGE, sample(), dead_lettered=0, skipped=0, schema_ids=[9, 3, 9], previous_sha256=NO_PREVIOUS)
    assert manifest.schema_ids == (3, 9)
    assert manifest_of(manifest_row(manifest).to_pylist()[0]) == manifest


def test_the_digest_of_a_manifest_is_that_of_the_documented_form() -> None:
    manifest = describe(RANGE, sample(), dead_lettered=0, skipped=0, schema_ids=[5], previous_sha256=b"\x01" * 32)
    expected = b"auditstream-manifest-1\0" + struct.pack("<H", 12) + b"audit.events" + RANGE.topic_id.bytes
    expected += struct.pack("<iqq4Q", 0, 0, 39, 40, 0, 0, 0) + struct.pack("<Ii", 1, 5) + struct.pack("<I", 3)
    for digest in manifest.digests:
        expected += struct.pack("<iQ", digest.day, digest.rows) + digest.sha256
    assert manifest.sha256 == hashlib.sha256(expected + b"\x01" * 32).digest()


def test_manifests_form_a_chain() -> None:
    one = describe(RANGE, sample(), dead_lettered=0, skipped=0, schema_ids=[], previous_sha256=NO_PREVIOUS)
    two = describe(RANGE, sample(), dead_lettered=0, skipped=0, schema_ids=[], previous_sha256=one.sha256)
    assert one.sha256 != two.sha256
