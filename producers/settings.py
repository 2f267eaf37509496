"""Settings of producers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ProducerSettings(BaseModel):
    """How events are emitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")
