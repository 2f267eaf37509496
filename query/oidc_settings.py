"""Settings of sign-in at an identity provider."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from query.access.errors import TokenInvalid
from query.access.rights import OWN_EVENTS, ROLES
from query.access.scope import Scope

_HERE = ("127.0.0.1", "localhost", "::1")
_Seconds = Annotated[float, Field(gt=0)]
_Texts = tuple[str, ...]


class OidcRule(BaseModel):
    """Who gets which role and scope: people in whose id token a claim has a value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str = Field(min_length=1, description="Name of the claim; dots lead into objects: `realm_access.roles`.")
    value: str = Field(min_length=1, description="The value, or one of a list; `*` and `?` stand for anything.")
    role: str = Field(description="The role.")
    tenants: _Texts = Field((), description="Tenants within reach.")
    all_tenants: bool = Field(default=False, description="Every tenant is within reach.")
    tenants_claim: str = Field("", description="Claim that names the tenants instead.")
    projects: _Texts = Field((), description="Only these projects.")
    products: _Texts = Field((), description="Only these products.")
    kinds: _Texts = Field((), description="Only these record kinds.")
    actor_claim: str = Field("", description="Claim with the id of the actor whose events are within reach.")

    @field_validator("role")
    @classmethod
    def _role_exists(cls, role: str) -> str:
        if role not in ROLES:
            raise ValueError(f"there is no role {role!r}; expected one of {', '.join(ROLES)}")
        return role

    @model_validator(mode="after")
    def _names_who_is_in_reach(self) -> Self:
        if sum(map(bool, (self.tenants, self.all_tenants, self.tenants_claim))) != 1:
            raise ValueError("expected exactly one of tenants, tenants_claim and all_tenants")
        if self.role == OWN_EVENTS and not self.actor_claim:
            raise ValueError(f"the role {OWN_EVENTS} needs actor_claim")
        if self.actor_claim and self.all_tenants:
            raise ValueError("an actor id means something within its tenant only: name the tenant, or tenants_claim")
        try:
            Scope(self.tenants, self.projects, self.products, self.kinds)
        except TokenInvalid as error:
            raise ValueError(str(error)) from None
        return self


class OidcSettings(BaseModel):
    """Sign-in of people at an OpenID Connect provider; off without an issuer. Tokens go on to open the page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(
        "", description="Issuer, exactly as the provider writes it, for example `https://id.example.com/realms/main`."
    )
    label: str = Field("your account", min_length=1, description="What the button says: Sign in with …")
    client_id: str = Field("", description="Id under which the provider knows this page.")
    client_secret: SecretStr = Field(
        SecretStr(""), description="Secret of a confidential client; empty for a public one."
    )
    scopes: _Texts = Field(
        ("openid", "profile", "email"), description="Scopes asked for; `openid` is always among them."
    )
    userinfo: bool = Field(default=False, description="Ask the userinfo endpoint for claims that the id token lacks.")
    rules: tuple[OidcRule, ...] = Field(
        (), description="Who gets which role and scope, the first rule that matches; nobody without one. See access.md."
    )
    name_claims: _Texts = Field(
        ("name", "preferred_username", "email"), description="Claims with the name shown, the first that is there."
    )
    refusal_help: str = Field("", description="Sentence for people whom no rule lets in: whom to ask, and for what.")
    clock_skew_s: Annotated[float, Field(ge=0, le=600)] = Field(
        60.0, description="Seconds that the clocks of the provider and of this machine may differ."
    )
    session_s: _Seconds = Field(
        8 * 3600.0,
        description="Seconds until people sign in again, and so long a role taken away at the provider may stay.",
    )
    end_with_id_token: bool = Field(default=False, description="End the session no later than the id token.")
    logout: bool = Field(default=True, description="Offer to end the session at the provider too, where it can.")
    timeout_s: _Seconds = Field(10.0, description="Seconds that one answer of the provider may take.")
    discovery_s: _Seconds = Field(3600.0, description="Seconds for which the provider's description is kept.")
    key_refresh_s: Annotated[float, Field(ge=0)] = Field(
        10.0, description="Seconds between two looks for new keys when an id token names an unknown one."
    )

    @property
    def enabled(self) -> bool:
        """Whether people may sign in so."""
        return bool(self.issuer)

    @field_validator("issuer")
    @classmethod
    def _issuer_is_safe(cls, issuer: str) -> str:
        if issuer and not safe_address(issuer):
            raise ValueError("expected https://…; http:// is for this machine only")
        return issuer

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.issuer and not self.client_id:
            raise ValueError("an issuer needs oidc.client_id")
        if self.issuer and not self.rules:
            raise ValueError("an issuer needs oidc.rules: without a rule nobody could sign in")
        return self


def safe_address(url: str) -> bool:
    """Tell whether a provider's address may be asked: by TLS, or on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE))
