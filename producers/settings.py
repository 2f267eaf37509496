"""Settings of producers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MIB = 1 << 20
_Seconds = Annotated[float, Field(gt=0)]
_Positive = Annotated[int, Field(gt=0)]


class ProducerSettings(BaseModel):
    """How events are emitted, spooled and masked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["strict", "best_effort"] = Field(
        "strict",
        description="strict: emit returns when Kafka has acknowledged, else it raises. best_effort: emit returns when the event is in the spool, and the spool is sent behind the caller's back.",
    )
    partition_key: Literal["object", "actor", "tenant", "none"] = Field(
        "object",
        description="Kafka key: tenant and object (task, export, sendout, run or target), tenant and actor, tenant alone, or none. One key is one partition, in order; a key of the tenant alone puts a huge tenant on one partition.",
    )
    source_service: str = Field("", description="Name of the service, stamped on events that do not name one.")
    source_version: str = Field("", description="Version of the service, stamped likewise.")
    source_host: str = Field("", description="Host or pod, stamped likewise; empty for the machine's host name.")
    auto_register: bool = Field(
        default=False,
        description="Register the schema when the registry does not have it. Off, because a service that may change the contract of a topic will one day do so by mistake; on for development.",
    )
    emit_timeout_s: _Seconds = Field(
        10.0, description="Seconds that emit waits for the acknowledgement in strict mode when the call names none."
    )
    delivery_timeout_s: _Seconds = Field(
        30.0, description="Seconds after which the client gives up an event in strict mode. Best effort never gives up."
    )
    close_timeout_s: _Seconds = Field(
        10.0,
        description="Seconds that close waits for acknowledgements; what is left stays in the spool, or is reported as failed in strict mode.",
    )
    linger_ms: Annotated[int, Field(ge=0)] = Field(
        5, description="Milliseconds that the client collects events into one request."
    )
    compression: Literal["none", "lz4", "zstd", "snappy", "gzip"] = Field(
        "lz4", description="Compression of batches; lz4 costs the worker no more than none."
    )
    queue_events: _Positive = Field(
        50_000,
        description="Events held by the Kafka client at most; strict mode waits for room, best effort reads on from the spool.",
    )
    queue_bytes: _Positive = Field(64 * MIB, description="Bytes held by the Kafka client at most.")
    message_bytes: Annotated[int, Field(ge=1000, le=1_000_000_000)] = Field(
        8 * MIB,
        description="Bytes of one encoded event at most. Brokers have their own limit (message.max.bytes, 1 MiB by default).",
    )
    spool_dir: Path | None = Field(
        None, description="Directory of the spool, owned by one process at a time; needed in best-effort mode."
    )
    spool_bytes: _Positive = Field(
        256 * MIB, description="Bytes on disk that the spool may take; above it emit raises SpoolFull."
    )
    spool_segment_bytes: Annotated[int, Field(ge=4096)] = Field(
        16 * MIB, description="Bytes of one spool file; a file is removed when all its events are acknowledged."
    )
    spool_fsync: Literal["never", "interval", "always"] = Field(
        "interval",
        description="When spooled events are forced to disk. never: they survive a killed process, not a power cut; interval: at most spool_fsync_s of events is at risk in a power cut; always: before emit returns.",
    )
    spool_fsync_s: _Seconds = Field(1.0, description="Seconds between forced writes with spool_fsync=interval.")
    mask: bool = Field(default=True, description="Mask secrets before events leave the process.")
    mask_names: tuple[str, ...] = Field(
        (),
        description="Further field names whose values are secret, compared without case, `_`, `-`, `.` and blanks; a name that contains one of them counts.",
    )
    mask_allow: tuple[str, ...] = Field(
        (), description="Field names whose values are never masked for their name, compared likewise but whole."
    )
    mask_patterns: dict[str, str] = Field(
        default_factory=dict,
        description="Further patterns: name of the rule and regular expression; each match is masked (its group `secret`, if it has one).",
    )
    mask_rules_off: tuple[str, ...] = Field(
        (), description="Built-in rules that do not apply: card, bearer, basic, jwt, key, private_key, url_password."
    )
