"""Settings of the notifier; what is told to whom stands in the rules file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Seconds = Annotated[float, Field(gt=0)]


class NotifySettings(BaseModel):
    """How `auditstream notify` reads events and tells of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Path | None = Field(None, description="TOML file of the rules; the option --rules wins over it.")
    group_id: str = Field(
        "auditstream-notify",
        min_length=1,
        description="Kafka consumer group of the notifiers; never that of the workers.",
    )
    start_at: Literal["earliest", "latest"] = Field(
        "latest", description="Where a partition without committed offset starts: latest tells of new events only."
    )
    retry_s: _Seconds = Field(
        900.0,
        description="Seconds for which a message that its channel does not take is tried again; then it counts as failed.",
    )
    log_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        90, description="Days that entries of the delivery log are kept, texts included."
    )
    stop_budget_s: _Seconds = Field(
        15.0,
        description="Seconds that messages under way may take at a stop; the others are sent after the next start.",
    )
    http_host: str = Field("127.0.0.1", description="Address of /metrics and /health.")
    http_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        9465, description="Port of /metrics and /health; 0 for a free one, told in the log."
    )
