"""Endpoints of tokens: list, make, revoke, within the scope and the rights of whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, get_args

from query.access.errors import TokenInvalid, TokenUnknown
from query.access.rights import ROLES
from query.access.scoped_reader import ScopedReader
from query.access.token import Token, TokenState
from query.access.token_request import MOST_DAYS, TokenRequest
from query.filters import enum_values
from query.http.asking import JsonBody, wrong_member
from query.http.endpoint import Answer, Call, Endpoint
from query.http.parameters import Parameter
from query.http.problems import Problem
from query.http.row_schemas import answer_schema, ref

PATH = "/api/v1/tokens"
_LISTS = ("tenants", "projects", "products", "record_kinds")
BODY_KEYS = ("name", "role", *_LISTS, "all_tenants", "actor_id", "days")
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_MOMENT = {"type": ["string", "null"], "format": "date-time"}
_TAG = "tokens"


def list_tokens(call: Call, reader: ScopedReader) -> Answer:
    """Answer the tokens within reach, those made last first."""
    del reader
    return Answer({"data": [token_row(token) for token in call.service.tokens.tokens(call.token)]})


def create_token(call: Call, reader: ScopedReader) -> Answer:
    """Make a token and answer its secret, once."""
    del reader
    asked = token_request(call.body)
    try:
        token, secret = call.service.tokens.create(call.token, call.caller, asked)
    except TokenInvalid as error:
        raise Problem("invalid-body", str(error), pointer="") from None
    return Answer({"token": token_row(token), "secret": secret})


def revoke_token(call: Call, reader: ScopedReader) -> Answer:
    """Revoke a token; repeating it changes nothing."""
    del reader
    try:
        token = call.service.tokens.revoke(call.token, call.caller, call.path["token_id"])
    except TokenUnknown as error:
        raise Problem("not-found", str(error)) from None
    return Answer({"token": token_row(token)})


def token_request(body: Mapping[str, Any]) -> TokenRequest:
    """Return the token that a JSON body asks for.

    Raises:
        Problem: A member is wrong; with a pointer to it.
    """
    reader = JsonBody(body, BODY_KEYS)
    for name in ("name", "role"):
        if name not in body:
            raise wrong_member(f"/{name}", "missing", "a text")
    days = reader.number("days", 0, 1, MOST_DAYS) if body.get("days") is not None else None
    lists = {name: tuple(reader.texts(name)) for name in _LISTS}
    role, name = reader.chosen("role", tuple(ROLES), ""), reader.text("name") or ""
    flag, actor_id = reader.flag("all_tenants"), reader.text("actor_id") or ""
    return TokenRequest(name, role, all_tenants=flag, actor_id=actor_id, days=days, **lists)


def token_row(token: Token) -> Mapping[str, Any]:
    """Return a token as members of an answer."""
    scope = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(token.scope).items()}
    times = ("created_at", "expires_at", "revoked_at", "last_used_at")
    told = {"token_id": token.token_id, "name": token.name, "role": token.role, "state": token.state(datetime.now(UTC))}
    return {**told, "scope": scope, "created_by": token.created_by, **{name: getattr(token, name) for name in times}}


def token_schema() -> dict[str, Any]:
    """Return the schema of a token; there is no secret in it."""
    texts = dict.fromkeys(("token_id", "name", "role", "created_by"), _TEXT)
    scope = answer_schema({**dict.fromkeys(_LISTS, _TEXTS), "actor_id": _TEXT})
    times = dict.fromkeys(("expires_at", "revoked_at", "last_used_at"), _MOMENT)
    state = {"enum": list(get_args(TokenState))}
    made = {"type": "string", "format": "date-time"}
    return answer_schema({**texts, "state": state, "scope": scope, "created_at": made, **times})


def token_request_schema() -> dict[str, Any]:
    """Return the schema of the body that asks for a token."""
    named: dict[str, Any] = {"name": {**_TEXT, "minLength": 1}, "role": {"enum": list(ROLES)}}
    word = {**_TEXT, "minLength": 1}
    words = {"oneOf": [word, {"type": "array", "items": word}]}
    lists: dict[str, Any] = dict.fromkeys(_LISTS, words)
    kinds = {"enum": list(enum_values("record_kind"))}
    lists["record_kinds"] = {"oneOf": [kinds, {"type": "array", "items": kinds}]}
    days = {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_DAYS}
    flag = {"type": "boolean"}
    members = {**named, **lists, "all_tenants": flag, "actor_id": _TEXT, "days": days}
    return answer_schema({name: members[name] for name in BODY_KEYS}, required=("name", "role"))


ENDPOINTS = (
    Endpoint(
        "GET",
        PATH,
        "list_tokens",
        "The tokens within reach, those made last first; secrets are not kept.",
        list_tokens,
        answer_schema({"data": {"type": "array", "items": ref("Token")}}),
        code=None,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        PATH,
        "create_token",
        "Make a token that reaches no more than the own; its secret is answered this once.",
        create_token,
        answer_schema({"token": ref("Token"), "secret": _TEXT}),
        body=ref("TokenRequest"),
        code=None,
        tag=_TAG,
        problems=("invalid-body",),
        status=201,
    ),
    Endpoint(
        "DELETE",
        f"{PATH}/{{token_id}}",
        "revoke_token",
        "Revoke a token; its record stays, and repeating it changes nothing.",
        revoke_token,
        answer_schema({"token": ref("Token")}),
        (Parameter("token_id", "Id of the token.", where="path"),),
        code=None,
        tag=_TAG,
        problems=("not-found",),
    ),
)
