"""Settings of the connections that every part shares: Kafka and the schema registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class KafkaSettings(BaseModel):
    """Where Kafka is and how it is spoken to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap_servers: str = Field("127.0.0.1:9092", description="Comma-separated host:port of brokers.")
    events_topic: str = Field("audit.events", description="Topic of the audit events.")
    actors_topic: str = Field(
        "audit.actors", description="Compacted topic of the actor directory; empty switches it off."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How connections are secured."
    )
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "", description="SASL mechanism, with a SASL protocol."
    )
    sasl_username: str = Field("", description="SASL user.")
    sasl_password: SecretStr = Field(SecretStr(""), description="SASL password.")
    ssl_ca_file: Path | None = Field(
        None, description="PEM file of the authority that signed the brokers' certificates."
    )
    ssl_certificate_file: Path | None = Field(None, description="PEM file of the client certificate.")
    ssl_key_file: Path | None = Field(None, description="PEM file of its key.")
    ssl_key_password: SecretStr = Field(SecretStr(""), description="Password of the key.")
    extra: dict[str, str] = Field(
        default_factory=dict,
        description="Further librdkafka properties; those the delivery promise rests on cannot be overridden.",
    )

    def client_config(self) -> dict[str, str | int | float | bool]:
        """Return the librdkafka properties of a connection, `extra` included."""
        named: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password.get_secret_value(),
            "ssl.ca.location": str(self.ssl_ca_file or ""),
            "ssl.certificate.location": str(self.ssl_certificate_file or ""),
            "ssl.key.location": str(self.ssl_key_file or ""),
            "ssl.key.password": self.ssl_key_password.get_secret_value(),
        }
        return {k: v for k, v in named.items() if v} | dict(self.extra)


class RegistrySettings(BaseModel):
    """Where the schema registry is and how patient its client is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        "http://127.0.0.1:8081",
        description="URL of a registry with the Confluent API; mock:// for one inside this process.",
    )
    username: str = Field("", description="Basic authentication: user.")
    password: SecretStr = Field(SecretStr(""), description="Basic authentication: password.")
    ca_file: Path | None = Field(None, description="PEM file of the authority that signed the registry's certificate.")
    timeout_s: Annotated[float, Field(gt=0)] = Field(5.0, description="Seconds one request may take.")
    retries: Annotated[int, Field(ge=0)] = Field(
        3, description="Further attempts of a request before it counts as an outage."
    )
    cache_dir: Path = Field(
        Path("~/.cache/auditstream/schemas"),
        description="Directory of the schemas seen so far, so that a worker starts while the registry is away.",
    )


class CatalogueSettings(BaseModel):
    """Which event codes exist beyond those that ship."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[Path, ...] = Field(
        (), description="Further catalogue files; a code that is already defined is refused."
    )
