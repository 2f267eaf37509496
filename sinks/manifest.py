"""The manifest of a range: what it says, its digest, and its row in ``ingest_batches``."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pyarrow as pa

from schemas.columns import event_columns
from sinks.digest import digest_by_day
from sinks.errors import SinkStopped
from sinks.sink import DayDigest, Manifest, OffsetRange

MANIFEST_MAGIC = b"auditstream-manifest-1\0"
#: ``previous_sha256`` of the first manifest of a partition.
NO_PREVIOUS = bytes(32)

_SHA256 = pa.binary(32)
ROW_SCHEMA = pa.schema(
    [
        ("kafka_topic", pa.string()),
        ("kafka_topic_id", pa.binary(16)),
        ("kafka_partition", pa.int32()),
        ("first_offset", pa.int64()),
        ("last_offset", pa.int64()),
        ("stored", pa.uint64()),
        ("dead_lettered", pa.uint64()),
        ("filtered", pa.uint64()),
        ("skipped", pa.uint64()),
        ("schema_ids", pa.list_(pa.int32())),
        ("digests.day", pa.list_(pa.int32())),
        ("digests.rows", pa.list_(pa.uint64())),
        ("digests.sha256", pa.list_(_SHA256)),
        ("previous_sha256", _SHA256),
        ("sha256", _SHA256),
    ]
)


def describe(
    range_: OffsetRange,
    events: pa.Table,
    *,
    dead_lettered: int,
    skipped: int,
    schema_ids: Sequence[int],
    previous_sha256: bytes,
) -> Manifest:
    """Describe what is stored of a range.

    Offsets that are neither stored, nor dead-lettered, nor skipped count as filtered: a replay under changed settings
    may filter what an earlier attempt stored, and the sum must be the length of the range all the same.

    Args:
        range_: The range.
        events: Its rows in ``audit_events``, in offset order.
        dead_lettered: Number of its rows in ``dead_letters``.
        skipped: Number of its offsets without a message.
        schema_ids: Registry ids of the writer schemas seen, in any order.
        previous_sha256: Digest of the partition's previous manifest, NO_PREVIOUS for the first one.

    Raises:
        SinkStopped: There are more rows than offsets.
    """
    rest = range_.span - events.num_rows - dead_lettered - skipped
    if rest < 0:
        raise SinkStopped(
            f"{range_.topic}-{range_.partition} {range_.first}-{range_.last} has {range_.span} offsets, but {events.num_rows} "
            f"events, {dead_lettered} dead letters and {skipped} offsets without message are stored: something else writes "
            "into these tables, or a setting that deduplication needs was changed"
        )
    digests = digest_by_day(events, event_columns())
    ids = tuple(sorted(set(schema_ids)))
    counts = (events.num_rows, dead_lettered, rest, skipped)
    sha256 = manifest_sha256(range_, counts, ids, digests, previous_sha256)
    return Manifest(range_, *counts, ids, digests, previous_sha256, sha256)


def manifest_sha256(
    range_: OffsetRange,
    counts: tuple[int, int, int, int],
    schema_ids: Sequence[int],
    digests: Sequence[DayDigest],
    previous_sha256: bytes,
) -> bytes:
    """Return the digest of a manifest; docs/tables.md specifies the bytes.

    Args:
        range_: The range.
        counts: Numbers of stored, dead-lettered, filtered and skipped offsets.
        schema_ids: Registry ids, ascending.
        digests: One per day of expiry, ascending.
        previous_sha256: Digest of the previous manifest, 32 bytes.
    """
    topic = range_.topic.encode()
    sha = hashlib.sha256(MANIFEST_MAGIC)
    sha.update(struct.pack("<H", len(topic)) + topic + range_.topic_id.bytes)
    sha.update(struct.pack("<iqq4Q", range_.partition, range_.first, range_.last, *counts))
    sha.update(struct.pack(f"<I{len(schema_ids)}i", len(schema_ids), *schema_ids))
    sha.update(struct.pack("<I", len(digests)))
    for digest in digests:
        sha.update(struct.pack("<iQ", digest.day, digest.rows) + digest.sha256)
    sha.update(previous_sha256)
    return sha.digest()


def manifest_row(manifest: Manifest) -> pa.Table:
    """Return a manifest as its one row of ``ingest_batches``."""
    range_ = manifest.range
    row = {
        "kafka_topic": range_.topic,
        "kafka_topic_id": range_.topic_id.bytes,
        "kafka_partition": range_.partition,
        "first_offset": range_.first,
        "last_offset": range_.last,
        "stored": manifest.stored,
        "dead_lettered": manifest.dead_lettered,
        "filtered": manifest.filtered,
        "skipped": manifest.skipped,
        "schema_ids": list(manifest.schema_ids),
        "digests.day": [d.day for d in manifest.digests],
        "digests.rows": [d.rows for d in manifest.digests],
        "digests.sha256": [d.sha256 for d in manifest.digests],
        "previous_sha256": manifest.previous_sha256,
        "sha256": manifest.sha256,
    }
    return pa.Table.from_pylist([row], schema=ROW_SCHEMA)


def manifest_of(row: Mapping[str, Any]) -> Manifest:
    """Return the manifest that a row of ``ingest_batches`` holds, columns as in ROW_SCHEMA."""
    range_ = OffsetRange(
        _text(row["kafka_topic"]),
        _uuid(row["kafka_topic_id"]),
        row["kafka_partition"],
        row["first_offset"],
        row["last_offset"],
    )
    digests = zip(row["digests.day"], row["digests.rows"], row["digests.sha256"], strict=True)
    counts = (row["stored"], row["dead_lettered"], row["filtered"], row["skipped"])
    return Manifest(
        range_,
        *counts,
        tuple(row["schema_ids"]),
        tuple(DayDigest(*d) for d in digests),
        row["previous_sha256"],
        row["sha256"],
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _uuid(value: UUID | bytes) -> UUID:
    return value if isinstance(value, UUID) else UUID(bytes=value)
