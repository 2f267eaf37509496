"""CPU time of the decoder by stage, beside fastavro: ``python benchmarks/decode.py [events]``.

The events are AuditEvents of some 400 bytes, five kinds in turn, with values as a platform sends them. Times depend
on the machine; the ratio to fastavro does not, much.
"""

from __future__ import annotations

import io
import random
import struct
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import fastavro
import numpy as np

from consumers.batch import Payloads
from consumers.decode import Decoder, prepare, read_frames
from schemas.columns import avro_schema, wire_columns

_SCHEMA_ID = 7
_AGENTS = [f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{v}.0 Safari/537.36" for v in range(100, 140)]
_BLOCKS: list[dict[str, Any]] = [
    {"record_kind": "action", "event_code": "campaign.activate", "status_before": "draft", "status_after": "active"},
    {
        "record_kind": "api_call",
        "event_code": "voucher.redeem",
        "api": {"method": "POST", "route": "/v1/vouchers/{code}/redemption", "status_code": 200, "request_bytes": 312},
    },
    {"record_kind": "auth", "event_code": "auth.login", "auth": {"event": "login", "method": "password", "mfa": True}},
    {
        "record_kind": "run_log",
        "event_code": "campaign.run",
        "run": {"run_id": "run-1", "object_type": "campaign", "state": "progress", "value": "17 mails"},
    },
    {
        "record_kind": "task",
        "event_code": "task.import",
        "task": {"task_id": "task-1", "type": "import", "status": "in_progress", "progress_pct": 40.0},
    },
]


def events(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Make events, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - test data
    return [_event(chance, i) for i in range(count)]


def _event(chance: random.Random, i: int) -> dict[str, Any]:
    tenant = int(200 * chance.random() ** 2)
    return {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128))),
        "schema_version": "1.0.0",
        "tenant_id": f"tenant-{tenant:03}",
        "project_id": f"project-{tenant:03}-{i % 3}",
        "source_service": ("dashboard", "api-gateway", "worker")[i % 3],
        "source_version": "2026.11.1",
        "source_host": f"pod-{i % 40}",
        "occurred_at": 1_790_000_000_000_000 + 1_000 * i,
        "tz_name": "Europe/Warsaw",
        "tz_offset_min": 60,
        "producer_id": f"producer-{i % 12}",
        "producer_seq": i,
        "request_id": f"req-{chance.getrandbits(64):016x}",
        "outcome": "success",
        "duration_ms": chance.randrange(2000),
        "actor_type": "user",
        "actor_id": f"user-{chance.randrange(5000)}",
        "origin": "dashboard",
        "ip": f"10.{chance.randrange(4)}.{chance.randrange(256)}.{chance.randrange(256)}",
        "user_agent": chance.choice(_AGENTS),
        "target_type": "campaign",
        "target_id": f"camp_{chance.randrange(20_000)}",
        "target_name": "Autumn sale",
        "details": {"reason": "scheduled"},
        **_BLOCKS[i % len(_BLOCKS)],
    }


def encode(count: int) -> list[bytes]:
    """Return framed messages."""
    schema = fastavro.parse_schema(avro_schema("audit_event", 1))
    frame = b"\0" + struct.pack(">i", _SCHEMA_ID)
    messages = []
    for event in events(count):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, event)
        messages.append(frame + out.getvalue())
    return messages


def _best(work: Callable[[], object], times: int) -> float:
    def once() -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    return min(once() for _ in range(times))


def main() -> None:
    """Print microseconds per event by stage."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    messages = encode(count)
    schema = fastavro.parse_schema(avro_schema("audit_event", 1))
    words = {c.path for c in wire_columns() if c.source == "event" and c.clickhouse_type == "LowCardinality(String)"}
    strings = {c.path for c in wire_columns() if "Enum" not in c.clickhouse_type}
    prepare()
    decoder = _decoder(words & strings)
    payloads = Payloads.of(messages)
    frames = read_frames(payloads)
    sample = messages[: min(count, 5_000)]
    stages = {
        "gather": _best(lambda: Payloads.of(messages), 5) / count,
        "frames": _best(lambda: read_frames(payloads), 5) / count,
        "decode": _best(lambda: decoder.decode(payloads, frames, 1 << 20), 9) / count,
        "fastavro": _best(lambda: [fastavro.schemaless_reader(io.BytesIO(m[5:]), schema) for m in sample], 2)
        / len(sample),
    }
    print(f"{count} events, {np.mean(payloads.lengths):.0f} bytes each")
    for stage, seconds in stages.items():
        print(f"{stage:10} {seconds * 1e6:8.3f} us of CPU per event")
    print(f"fastavro / decode = {stages['fastavro'] / stages['decode']:.0f}")


def _decoder(words: set[str]) -> Decoder:
    schema = avro_schema("audit_event", 1)
    enums = {f["name"] for f in schema["fields"] if isinstance(f["type"], dict) and f["type"]["type"] == "enum"}
    enums |= {"api.capture_level", "auth.event", "run.state", "task.status", "export.state", "hook.status"}
    decoder = Decoder(schema, frozenset(words - enums))
    decoder.add_writer(_SCHEMA_ID, schema)
    return decoder


if __name__ == "__main__":
    main()
