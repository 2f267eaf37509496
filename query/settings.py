"""Settings of reading over HTTP and of the right to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MIB = 1 << 20
_Seconds = Annotated[float, Field(gt=0)]
_Positive = Annotated[int, Field(gt=0)]


class HttpSettings(BaseModel):
    """Where and how `auditstream serve` answers. TLS is the business of a proxy in front of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address that it listens on; 0.0.0.0 for all, behind a proxy with TLS.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8480, description="Port; 0 for a free one.")
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1",), description="Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed."
    )
    readers: _Positive = Field(8, description="Reads of the database at the same time; further ones wait.")
    timeout_s: _Seconds = Field(45.0, description="Seconds a request may take, waiting for a free reader included.")
    body_bytes: _Positive = Field(MIB, description="Bytes of a request body at most.")
    default_rows: Annotated[int, Field(ge=1, le=10_000)] = Field(50, description="Rows of a page that names no limit.")
    max_rows: Annotated[int, Field(ge=1, le=10_000)] = Field(
        1000, description="Rows of a page at most. The run-log call has its own limit of 10,000."
    )
    tails: Annotated[int, Field(ge=0)] = Field(50, description="Live tails at the same time; further ones are refused.")
    tail_s: _Seconds = Field(
        900.0, description="Seconds after which a live tail ends; its reader goes on where it ended."
    )
    tail_interval_s: _Seconds = Field(1.0, description="Seconds between two looks of a live tail.")
    stop_s: _Seconds = Field(10.0, description="Seconds that a stop waits for answers under way.")
    run_logs: dict[str, str] = Field(
        default_factory=lambda: {"campaigns": "campaign"},
        description="Run-log calls: `/api/v1.1/NAME/log_v2` reads the runs of this object type, `{name: object_type}`.",
    )


class AccessSettings(BaseModel):
    """Tokens, and what is recorded about readers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cache_s: Annotated[float, Field(ge=0)] = Field(
        5.0, description="Seconds for which a token is not looked up again: so long a revocation may take to be seen."
    )
    last_use_s: Annotated[float, Field(ge=0)] = Field(60.0, description="Seconds between writes of last uses.")
    record: bool = Field(
        default=True, description="Record reads and failed sign-ins as events. Reading goes on when Kafka is away."
    )
    spool_dir: Path = Field(
        Path("~/.local/state/auditstream/access"),
        description="Directory in which records of reads wait for Kafka; one process each.",
    )
    tenant: str = Field(
        "auditstream", min_length=1, description="Tenant of records about readers that are not of one tenant."
    )
    failures_per_minute: _Positive = Field(
        60,
        description="Failed sign-ins recorded one by one; further ones of the minute are counted in the next record.",
    )
