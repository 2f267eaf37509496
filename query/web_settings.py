"""Settings of the page."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from query.errors import InvalidFilter
from query.period import parse_zone


class PageSettings(BaseModel):
    """The page of `auditstream serve`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=True, description="Serve the page beside the API.")
    session_hours: Annotated[float, Field(gt=0, le=24 * 30)] = Field(
        12.0, description="Hours after which somebody has to sign in again."
    )
    session_key: SecretStr = Field(
        SecretStr(""),
        description="Signs session cookies: 32 random characters or more, the same in every process behind one address. "
        "Empty for a random one, which ends all sessions at every start.",
    )
    public_url: str = Field(
        "", description="Address under which browsers reach the page, such as https://audit.example.com; empty for any."
    )
    zone: str = Field("UTC", description="Time zone of projects that `project_zones` does not name (IANA name).")
    project_zones: dict[str, str] = Field(
        default_factory=dict, description="Time zone by id or slug of a project, `{project: zone}`."
    )
    cookie_secure: Literal["auto", "always", "never"] = Field(
        "auto", description="Send cookies over TLS only: as the request came (auto), always, or never."
    )
    sign_in_failures_per_minute: Annotated[int, Field(gt=0)] = Field(
        10, description="Failed sign-ins from one address in a minute, after which it has to wait."
    )

    @field_validator("session_key")
    @classmethod
    def _long_enough(cls, key: SecretStr) -> SecretStr:
        if 0 < len(key.get_secret_value()) < 32:
            raise ValueError("expected at least 32 characters, or none")
        return key

    @field_validator("public_url")
    @classmethod
    def _an_origin(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("expected an address that begins with https:// or http://")
        return url.rstrip("/")

    @field_validator("zone")
    @classmethod
    def _a_zone(cls, name: str) -> str:
        return _checked(name)

    @field_validator("project_zones")
    @classmethod
    def _zones(cls, zones: dict[str, str]) -> dict[str, str]:
        return {project: _checked(name) for project, name in zones.items()}


def _checked(name: str) -> str:
    try:
        parse_zone(name)
    except InvalidFilter as error:
        raise ValueError(f'expected an IANA time zone, not "{name}"') from error
    return name
