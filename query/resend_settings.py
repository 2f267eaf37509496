"""Settings of re-sending webhooks: which service is asked for which sendout, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

#: Characters of a secret at least; shorter ones can be guessed from one signature.
MIN_SECRET_CHARACTERS = 24
_Seconds = Annotated[float, Field(gt=0, le=30)]


class RouteSettings(BaseModel):
    """One way to ask a service to send a webhook again: an endpoint of it, or a topic that it reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: str = Field("*", min_length=1, description="Tenant of the sendout; a trailing * stands for any ending.")
    source: str = Field(
        "*", min_length=1, description="Service that reported the sendout (`source_service`), likewise."
    )
    type: str = Field("*", min_length=1, description="Event type that the webhook announces, likewise.")
    url: str = Field("", description="Endpoint of the service, http or https; empty for a route by topic.")
    secret: SecretStr = Field(SecretStr(""), description="Key of the signature of calls to `url`.")
    topic: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]{0,249}$", description="Topic of commands; empty for a route by URL."
    )
    timeout_s: _Seconds = Field(5.0, description="Seconds that one call may take.")
    attempts: Annotated[int, Field(ge=1, le=10)] = Field(4, description="Calls at most, while none is answered.")
    first_pause_s: _Seconds = Field(
        0.5, description="Pause before the second call at most; doubled before each further."
    )
    deadline_s: _Seconds = Field(
        20.0, description="Seconds that all calls, or the way to the topic, may take together."
    )
    ca_file: Path | None = Field(None, description="PEM file of the authority that signed the endpoint's certificate.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.url) == bool(self.topic):
            raise ValueError("expected exactly one of url and topic")
        if self.url:
            _check_url(self.url)
        if self.url and len(self.secret.get_secret_value()) < MIN_SECRET_CHARACTERS:
            raise ValueError(f"expected a secret of at least {MIN_SECRET_CHARACTERS} characters beside the url")
        return self


class ResendSettings(BaseModel):
    """How webhooks are sent again: never by auditstream itself, always by the service that sent them first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    routes: dict[str, RouteSettings] = Field(
        default_factory=dict,
        description="Name of a route and its table; the first that matches tenant, source and type of a sendout is used. Without a matching one nothing can be sent again.",
    )
    calls: Annotated[int, Field(ge=1, le=100)] = Field(
        4, description="Services asked at the same time; further requests wait."
    )
    spool_dir: Path = Field(
        Path("~/.local/state/auditstream/resend"),
        description="Directory in which the audit events of re-sends wait for Kafka; processes side by side have a directory each in it.",
    )


def _check_url(url: str) -> None:
    # The message never repeats the URL: somebody may have put a password into it.
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected a url with http:// or https:// and a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("expected a url without user, password and fragment; calls are signed with the secret")
