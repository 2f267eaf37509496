"""Settings of the worker: batches, memory, deadlines, validation and enrichment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MIB = 1 << 20
_Positive = Annotated[int, Field(gt=0)]
_Seconds = Annotated[float, Field(gt=0)]


class WorkerSettings(BaseModel):
    """How a worker consumes, batches and stops."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group_id: str = Field("auditstream", min_length=1, description="Kafka consumer group of the workers.")
    instance_id: str = Field(
        "",
        description="Static membership: a name that stays the same over restarts of this worker; empty for dynamic membership.",
    )
    start_at: Literal["earliest", "latest"] = Field(
        "earliest", description="Where a partition without committed offset starts."
    )
    on_lost_data: Literal["stop", "skip"] = Field(
        "stop",
        description="When retention deleted messages that were never read: stop with exit code 1, or skip to the oldest message there is, count the gap and log it.",
    )
    on_rewound_offset: Literal["stop", "skip"] = Field(
        "stop",
        description="When the committed offset lies before what the database already has (offsets were reset, or the group is new): stop with exit code 1, or go on after what is stored.",
    )
    batch_rows: _Positive = Field(50_000, le=500_000, description="Messages of one batch at most.")
    batch_bytes: _Positive = Field(12 * MIB, le=200 * MIB, description="Bytes of message values of one batch at most.")
    batch_age_s: _Seconds = Field(1.0, description="Seconds after which a batch is written although it is not full.")
    memory_bytes: _Positive = Field(
        64 * MIB,
        description="Budget for messages held in memory, from fetch to commit; partitions are paused above it.",
    )
    message_bytes: _Positive = Field(
        8 * MIB, description="Largest message value that is decoded; a larger one is dead-lettered with its size."
    )
    dead_letter_raw_bytes: _Positive = Field(
        64 * 1024, description="Bytes of a rejected message that are kept in its dead letter."
    )
    fetch: Literal["direct", "client"] = Field(
        "direct",
        description="How messages come from Kafka's client: direct, from its queue into arrays, or client, as an object each, with more CPU. Where direct is not possible the worker says so and takes client.",
    )
    insert_threads: Annotated[int, Field(ge=1, le=16)] = Field(
        2, description="Batches of different partitions that are written at the same time."
    )
    stop_budget_s: _Seconds = Field(
        20.0,
        description="Seconds that a stop by SIGTERM or SIGINT may take; what is not written by then is read again by the next worker.",
    )
    rebalance_budget_s: _Seconds = Field(
        10.0, description="Seconds that all partitions taken away by one rebalance may take to finish their batches."
    )
    session_timeout_s: _Seconds = Field(
        30.0, description="Seconds without heartbeat after which the group gives the partitions away."
    )
    max_poll_interval_s: _Seconds = Field(
        60.0, description="Seconds without poll after which the group gives the partitions away."
    )
    drop_event_codes: tuple[str, ...] = Field(
        (), description="Event codes that are filtered out, counted but not stored; a trailing * stands for any ending."
    )
    http_host: str = Field("127.0.0.1", description="Address of /metrics and /health.")
    http_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        9464, description="Port of /metrics and /health; 0 for a free one, told in the log."
    )
    progress_timeout_s: _Seconds = Field(
        60.0, description="Seconds without progress, while there is work, after which /health/ready says no."
    )


class ValidateSettings(BaseModel):
    """Which events are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalogue: Literal["flag", "strict"] = Field(
        "flag",
        description="An event code that the catalogue does not know: store the event with the flag unknown_event_code, or dead-letter it.",
    )
    block: Literal["flag", "strict"] = Field(
        "strict",
        description="The typed block that record_kind asks for is missing: store with the flag block_missing, or dead-letter.",
    )
    json_bodies: Literal["off", "flag", "strict"] = Field(
        "flag",
        description="A body that begins like JSON and does not parse: do not look, store with the flag body_not_json, or dead-letter.",
    )
    max_future_s: _Seconds = Field(
        86_400.0, description="Seconds that occurred_at may lie after Kafka's timestamp; later ones are dead-lettered."
    )
    skew_flag_s: _Seconds = Field(
        5.0,
        description="Seconds that occurred_at may lie after Kafka's timestamp before the event is flagged clock_skew.",
    )
    max_key_bytes: _Positive = Field(512, description="Bytes of an identifier, code or name at most.")
    max_text_bytes: _Positive = Field(64 * 1024, description="Bytes of any other text field at most, bodies apart.")
    max_body_bytes: _Positive = Field(4 * MIB, description="Bytes of one request or response body at most.")
    max_items: _Positive = Field(1000, description="Entries of one list or map at most.")


class EnrichSettings(BaseModel):
    """Where names, places and networks come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    city_db: Path | None = Field(
        None, description="MaxMind-format database with country, region, city, coordinates and time zone."
    )
    asn_db: Path | None = Field(None, description="MaxMind-format database with autonomous systems.")
    reload_s: _Seconds = Field(10.0, description="Seconds between looks at whether a database file has changed.")
    actors_load_s: _Seconds = Field(
        60.0,
        description="Seconds that loading the actor directory may take at start; after that the worker goes on with what it has and says so in actor_directory_status.",
    )
    max_actors: _Positive = Field(
        200_000, description="Actor cards kept in memory at most; further ones are counted and not kept."
    )
