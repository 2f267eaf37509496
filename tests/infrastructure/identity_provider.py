"""A small OpenID Connect provider on loopback: real HTTP, real keys, a form to sign in, and faults on demand."""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote_plus, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from infrastructure.ports import LOOPBACK, free_port, wait_until

CLIENT_ID = "audit page"
CLIENT_SECRET = "s3cret+with:signs"
_START_S = 30.0
_FORM = """<!doctype html><html lang="en"><title>Provider</title><h1>Provider</h1>
<form method="post"><label>Login <input name="login" id="login"></label>{hidden}<button>Continue</button></form>"""

Claims = dict[str, Any]


@dataclass(slots=True)
class _Code:
    """What a code stands for, until it is used."""

    login: str
    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str


@dataclass(slots=True)
class IdentityProvider:
    """One provider with people and one client.

    Attributes:
        issuer: Its address.
        people: Login -> further claims.
        public: The client has no secret.
        away: It answers 503 to everything.
        alter: Changes the claims of the next id tokens before they are signed.
        sign: Signs instead of its own key; for tokens that must not be believed.
        redirect_uris: Where browsers may be sent back to.
        asked: Paths asked for, in order.
        issued: Every id token and access token that it gave.
    """

    issuer: str
    people: dict[str, Claims] = field(default_factory=dict)
    public: bool = False
    away: bool = False
    alter: Callable[[Claims], Claims] = lambda claims: claims
    sign: Callable[[Claims], str] | None = None
    redirect_uris: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    _keys: list[RSAKey | ECKey] = field(default_factory=list)
    _codes: dict[str, _Code] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rotate()

    def rotate(self, kind: Literal["RSA", "EC"] = "RSA") -> None:
        """Sign with a new key from now on, and publish no other."""
        made = RSAKey.generate_key(2048) if kind == "RSA" else ECKey.generate_key("P-256")
        self._keys = [made]

    def signed(self, claims: Claims) -> str:
        """Return claims signed by the key in use."""
        key = self._keys[-1]
        algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
        key.ensure_kid()
        return jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, algorithms=[algorithm])

    def app(self) -> Starlette:
        """Return the application."""
        routes = {
            "/.well-known/openid-configuration": self._description,
            "/authorize": self._authorize,
            "/token": self._token,
            "/keys": self._published,
            "/userinfo": self._userinfo,
            "/end": self._end,
            "/favicon.ico": self._no_icon,
        }
        return Starlette(routes=[Route(p, self._guarded(r), methods=["GET", "POST"]) for p, r in routes.items()])

    def _guarded(self, respond: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def guarded(request: Request) -> Response:
            self.asked.append(request.url.path)
            if self.away:
                return JSONResponse({"error": "temporarily_unavailable"}, 503)
            response: Response = await respond(request)
            return response

        return guarded

    async def _description(self, request: Request) -> Response:
        del request
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        more = {"userinfo_endpoint": "userinfo", "end_session_endpoint": "end"}
        return JSONResponse(
            {
                "issuer": self.issuer,
                **{name: f"{self.issuer}/{path}" for name, path in (places | more).items()},
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            }
        )

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        if asked.get("client_id") != CLIENT_ID or asked.get("redirect_uri") not in self.redirect_uris:
            return HTMLResponse("this application is not known", 400)
        wanted = {"response_type": "code", "code_challenge_method": "S256"}
        if any(asked.get(n) != v for n, v in wanted.items()) or "openid" not in asked.get("scope", "").split():
            return HTMLResponse("this is no request of OpenID Connect with PKCE", 400)
        if request.method == "GET":
            return HTMLResponse(_FORM.format(hidden=""))
        return self._back(asked, str((await request.form()).get("login", "")))

    def _back(self, asked: Mapping[str, str], login: str) -> Response:
        answer = {"state": asked["state"], "iss": self.issuer}
        if login in self.people:
            code = answer["code"] = secrets.token_urlsafe(16)
            known = (login, asked["client_id"], asked["redirect_uri"], asked["code_challenge"], asked["nonce"])
            self._codes[code] = _Code(*known)
        else:
            answer["error"] = "access_denied"
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 303)

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        if not self._is_client(request, form):
            return JSONResponse({"error": "invalid_client"}, 401)
        # A code is good for one use, whatever becomes of it.
        code = self._codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if code is None or (code.redirect_uri, code.challenge) != (
            form.get("redirect_uri"),
            challenge.decode().rstrip("="),
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(self._answer(code))

    def _is_client(self, request: Request, form: Mapping[str, str]) -> bool:
        if self.public:
            return form.get("client_id") == CLIENT_ID and "authorization" not in request.headers
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme != "Basic":
            return False
        name, _, secret = base64.b64decode(given).decode().partition(":")
        return (unquote_plus(name), unquote_plus(secret)) == (CLIENT_ID, CLIENT_SECRET)

    def _answer(self, code: _Code) -> dict[str, object]:
        access_token = secrets.token_urlsafe(16)
        self._tokens[access_token] = code.login
        digest = hashlib.sha256(access_token.encode()).digest()[:16]
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": f"id-of-{code.login}",
            "aud": code.client_id,
            "iat": now,
            "exp": now + 300,
            "nonce": code.nonce,
            "at_hash": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            **{name: value for name, value in self.people[code.login].items() if not name.startswith("userinfo:")},
        }
        id_token = (self.sign or self.signed)(self.alter(claims))
        self.issued += [id_token, access_token]
        return {"access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token}

    async def _published(self, request: Request) -> Response:
        del request
        unknown = {"kty": "XX", "kid": "of-another-time"}
        keys = KeySet([*self._keys]).as_dict(private=False)["keys"]
        return JSONResponse({"keys": [unknown, *keys]})

    async def _userinfo(self, request: Request) -> Response:
        login = self._tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if login is None:
            return JSONResponse({"error": "invalid_token"}, 401)
        more = {n.removeprefix("userinfo:"): v for n, v in self.people[login].items() if n.startswith("userinfo:")}
        return JSONResponse({"sub": f"id-of-{login}", **more})

    async def _no_icon(self, request: Request) -> Response:
        del request
        return Response(status_code=204)

    async def _end(self, request: Request) -> Response:
        back = request.query_params.get("post_logout_redirect_uri", "")
        text = f'<!doctype html><title>Provider</title><p>Signed out.</p><a href="{html.escape(back)}">Back</a>'
        return HTMLResponse(text)


@contextmanager
def open_identity_provider() -> Iterator[IdentityProvider]:
    """Run a provider on a thread."""
    port = free_port()
    provider = IdentityProvider(f"http://{LOOPBACK}:{port}")
    config = uvicorn.Config(
        provider.app(), host=LOOPBACK, port=port, log_config=None, access_log=False, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="identity-provider", daemon=True)
    thread.start()
    wait_until(lambda: server.started, timeout_s=_START_S, what="the start of the identity provider")
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(_START_S)
