"""Settings of exports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

_Positive = Annotated[int, Field(gt=0)]


class ExportSettings(BaseModel):
    """How events are exported and how long the files are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    storage: str = Field(
        "~/.local/share/auditstream/exports",
        min_length=1,
        description="Where files and records are kept: a directory, or a URL of fsspec such as s3://bucket/exports (with the package s3fs installed).",
    )
    storage_options: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Arguments of the fsspec file system, for example key, secret, endpoint_url for s3.",
    )
    expire_after_s: _Positive = Field(
        86_400, description="Seconds after which the file of an export is removed; its record stays."
    )
    record_days: _Positive = Field(
        365, description="Days that the record of an export is kept, for the list and for making it again."
    )
    interactive_rows: _Positive = Field(
        20_000, description="Rows of an export that is not full: the newest; it is said when there are more."
    )
    page_rows: Annotated[int, Field(gt=0, le=10_000)] = Field(
        2_000, description="Rows read at a time; memory is bounded by them."
    )
    at_once: _Positive = Field(
        2, description="Exports that `auditstream serve` makes at the same time; further ones wait."
    )
    waiting: Annotated[int, Field(ge=0)] = Field(
        50, description="Exports that may wait in one process; further ones are refused."
    )
    heartbeat_s: Annotated[float, Field(gt=0)] = Field(
        5.0,
        description="Seconds between two signs of life of a process that makes exports; after six without one, what it was making has failed.",
    )
    audit: bool = Field(
        default=True,
        description="Emit an audit event for every export and download, in best-effort mode: an outage of Kafka never holds an export up.",
    )
    audit_tenant: str = Field(
        "auditstream", min_length=1, description="Tenant of those events when the export is not of one tenant."
    )
    audit_spool_dir: Path = Field(
        Path("~/.local/state/auditstream/export-spool"),
        description="Directory where those events wait for Kafka; commands that run side by side have a directory each in it.",
    )
