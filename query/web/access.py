"""Tokens, for administrators: which there are, a new one with its secret shown once, and revoking."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import FormData
from starlette.responses import Response

from query.access.errors import TokenInvalid, TokenUnknown
from query.access.rights import ROLES, Right
from query.access.token import Token
from query.access.token_request import MOST_DAYS, TokenRequest
from query.filters import enum_values
from query.http.problems import Problem
from query.web.page import POST, PageRoute
from query.web.visit import Visit

_SEPARATORS = re.compile(r"[,\s]+")
_DAYS = re.compile(r"[0-9]{1,5}")
_TEXT_FIELDS = ("name", "role", "tenants", "projects", "products", "actor_id", "days")
_DEFAULT_DAYS = "90"


async def tokens(visit: Visit) -> Response:
    """List the tokens within reach, with the form for a new one."""
    return await _shown(visit, {"role": "auditor", "days": _DEFAULT_DAYS})


async def create(visit: Visit) -> Response:
    """Make a token and show its secret, this once."""
    fields = await visit.form()
    administration = visit.service.tokens
    try:
        asked = _asked(fields)
        token, secret = await visit.service.in_thread(lambda: administration.create(visit.token, visit.caller, asked))
    except TokenInvalid as error:
        return await _shown(visit, _given(fields), problem=str(error), status=400)
    return await _shown(visit, {"role": asked.role, "days": _DEFAULT_DAYS}, made=token, secret=secret, status=201)


async def revoke(visit: Visit) -> Response:
    """Revoke a token."""
    await visit.form()
    token_id, administration = visit.path["token_id"], visit.service.tokens
    try:
        token = await visit.service.in_thread(lambda: administration.revoke(visit.token, visit.caller, token_id))
    except TokenUnknown as error:
        raise Problem("not-found", str(error)) from None
    return visit.redirect("/access", notice=f"{token.name} ({token.token_id}) is revoked.")


async def _shown(
    visit: Visit,
    given: Mapping[str, Any],
    *,
    problem: str = "",
    made: Token | None = None,
    secret: str = "",
    status: int = 200,
) -> Response:
    administration, now = visit.service.tokens, datetime.now(UTC)
    found = await visit.service.in_thread(lambda: administration.tokens(visit.token))
    return visit.page(
        "access.html",
        status=status,
        rows=[(token, token.state(now), token.scope.described()) for token in found],
        roles={role: [right.value for right in Right if right in ROLES[role]] for role in ROLES},
        offered=administration.roles(visit.token),
        kinds=enum_values("record_kind"),
        own=visit.token.scope,
        own_scope=visit.token.scope.described(),
        most_days=MOST_DAYS,
        given={**dict.fromkeys(_TEXT_FIELDS, ""), "kinds": (), "all_tenants": False, **given},
        problem=problem,
        made=made,
        secret=secret,
    )


def _asked(fields: FormData) -> TokenRequest:
    days = str(fields.get("days", "")).strip()
    if days and not _DAYS.fullmatch(days):
        raise TokenInvalid(f"the number of days is {days!r}; expected 1 to {MOST_DAYS}, or nothing")
    return TokenRequest(
        str(fields.get("name", "")).strip(),
        str(fields.get("role", "")),
        _names(fields, "tenants"),
        fields.get("all_tenants") == "1",
        _names(fields, "projects"),
        _names(fields, "products"),
        tuple(str(kind) for kind in fields.getlist("kinds")),
        str(fields.get("actor_id", "")).strip(),
        int(days) if days else None,
    )


def _given(fields: FormData) -> dict[str, Any]:
    texts: dict[str, Any] = {name: str(fields.get(name, "")) for name in _TEXT_FIELDS}
    kinds = tuple(str(kind) for kind in fields.getlist("kinds"))
    return {**texts, "kinds": kinds, "all_tenants": fields.get("all_tenants") == "1"}


def _names(fields: FormData, name: str) -> tuple[str, ...]:
    return tuple(part for part in _SEPARATORS.split(str(fields.get(name, ""))) if part)


PAGES = (
    PageRoute("/access", tokens, name="access", section="Tokens", right=Right.TOKENS, group="Administration"),
    PageRoute("/access", create, POST, "create_token", right=Right.TOKENS),
    PageRoute("/access/{token_id}/revoke", revoke, POST, "revoke_token", right=Right.TOKENS),
)
