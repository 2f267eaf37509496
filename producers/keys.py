"""The Kafka key of an event: which events share a partition, and with it an order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

#: Block -> field that names what the events of a life cycle have in common.
_LIFE_CYCLES = (("task", "task_id"), ("export", "export_id"), ("hook", "sendout_id"), ("run", "run_id"))

KeyOf = Callable[[Mapping[str, Any]], bytes]


def key_function(partition_key: Literal["object", "actor", "tenant", "none"]) -> KeyOf:
    """Return the function that makes keys.

    Args:
        partition_key: ``object`` keeps what happens to one object in order and spreads a huge tenant over all
            partitions; ``actor`` does it for one actor; ``tenant`` orders all of a tenant and bounds the tenant to one
            partition's throughput; ``none`` spreads without any order (empty key).
    """
    return {"object": _by_object, "actor": _by_actor, "tenant": _by_tenant, "none": lambda _: b""}[partition_key]


def _by_tenant(record: Mapping[str, Any]) -> bytes:
    return str(record["tenant_id"]).encode()


def _by_actor(record: Mapping[str, Any]) -> bytes:
    actor = record.get("actor_id")
    return f"{record['tenant_id']}/{actor}".encode() if actor else _by_tenant(record)


def _by_object(record: Mapping[str, Any]) -> bytes:
    for block, field in _LIFE_CYCLES:
        if block in record and record[block].get(field):
            return f"{record['tenant_id']}/{block}/{record[block][field]}".encode()
    if record.get("target_id"):
        return f"{record['tenant_id']}/{record.get('target_type') or ''}/{record['target_id']}".encode()
    return _by_actor(record)
