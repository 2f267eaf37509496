"""Settings of the sinks: the database and how long rows live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class ClickHouseSettings(BaseModel):
    """Where the database is and how it is spoken to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interface: Literal["http", "https", "chdb"] = Field(
        "http",
        description="http or https for a server; chdb for the engine inside this process, with data under `path`.",
    )
    host: str = Field("127.0.0.1", description="Host of the server.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(8123, description="HTTP port of the server.")
    user: str = Field("default", description="User.")
    password: SecretStr = Field(SecretStr(""), description="Password.")
    database: str = Field(
        "auditstream",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Database of all tables; `auditstream migrate` creates it.",
    )
    path: Path | None = Field(None, description="Directory of the data when interface is chdb.")
    ca_file: Path | None = Field(None, description="PEM file of the authority that signed the server's certificate.")
    verify: bool = Field(default=True, description="Check the server's certificate.")
    connect_timeout_s: Annotated[float, Field(gt=0)] = Field(5.0, description="Seconds to wait for a connection.")
    insert_timeout_s: Annotated[float, Field(gt=0, le=30)] = Field(
        10.0, description="Seconds an insert may take; well below Kafka's max.poll.interval.ms."
    )
    query_timeout_s: Annotated[float, Field(gt=0)] = Field(30.0, description="Seconds a read may take.")


class RetentionSettings(BaseModel):
    """How long rows live, by class of the event and tenant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: dict[str, int] = Field(
        default_factory=lambda: {
            "debug": 7,
            "api": 30,
            "operational": 90,
            "business": 180,
            "security": 365,
            "compliance": 1095,
            "permanent": 0,
        },
        description="Days per retention class; 0 is for ever. Snapped up to 1, 2, 7, 30, 90, 180, 365, 730, 1095, 1825, 2555 or 3650 days.",
    )
    default_class: str = Field("business", description="Class of an event whose code the catalogue does not know.")
    tenants: dict[str, dict[str, int]] = Field(
        default_factory=dict,
        description="Days per class that differ for a tenant: `{tenant_id: {class: days}}`; class `*` stands for all.",
    )
    payload_days: Annotated[int, Field(ge=1)] = Field(
        7, description="Days that request and response bodies are kept; never longer than their event."
    )
    dead_letter_days: Annotated[int, Field(ge=1)] = Field(30, description="Days that dead letters are kept.")
