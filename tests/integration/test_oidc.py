"""Signing in at a real provider over HTTP: what is believed, and what is refused with which reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from pydantic import SecretStr

from infrastructure.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, open_identity_provider
from infrastructure.ports import LOOPBACK, free_port
from query.access import Identity
from query.oidc import Attempt, NoRole, OidcSignIn, Provider, ProviderUnavailable, SignInRefused
from query.oidc_settings import OidcRule, OidcSettings

BACK = "http://127.0.0.1:8480/sign-in/oidc/callback"
RULE = OidcRule(claim="groups", value="audit-*", role="auditor", tenants=("acme",))


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    with open_identity_provider() as opened:
        yield opened


@pytest.fixture
def provider(running: IdentityProvider) -> IdentityProvider:
    """The provider, as it is before anything was done to it."""
    running.people = {"ann": {"name": "Ann", "email": "ann@example.com", "groups": ["staff", "audit-readers"]}}
    running.redirect_uris = {BACK}
    running.public = running.away = False
    running.alter, running.sign = lambda claims: claims, None
    running.asked.clear()
    return running


def settings_of(provider: IdentityProvider, **more: Any) -> OidcSettings:
    given = {"issuer": provider.issuer, "client_id": CLIENT_ID, "rules": (RULE,), "key_refresh_s": 0.0}
    return OidcSettings(**{**given, "client_secret": SecretStr(CLIENT_SECRET), **more})


@pytest.fixture
def sign_in(provider: IdentityProvider) -> Iterator[OidcSignIn]:
    opened = OidcSignIn(settings_of(provider))
    yield opened
    opened.close()


def brought(address: str, login: str = "ann") -> dict[str, str]:
    """Return what the provider sends the browser back with after the form was filled in."""
    sent = httpx.post(address, data={"login": login})
    assert sent.status_code == httpx.codes.SEE_OTHER, sent.text
    assert sent.headers["location"].startswith(BACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(sent.headers["location"]).query).items()}


def signed_in(sign_in: OidcSignIn, login: str = "ann") -> Identity:
    address, attempt = sign_in.begin(BACK, "/")
    return sign_in.finish(attempt, brought(address, login), BACK)


def refused(sign_in: OidcSignIn, login: str = "ann") -> str:
    with pytest.raises(SignInRefused) as caught:
        signed_in(sign_in, login)
    return caught.value.reason


def test_a_person_gets_the_role_and_the_scope_of_the_rule(sign_in: OidcSignIn) -> None:
    ann = signed_in(sign_in)
    assert (ann.name, ann.email, ann.subject, ann.role) == ("Ann", "ann@example.com", "id-of-ann", "auditor")
    assert ann.scope.tenants == ("acme",)
    assert ann.expires_at
    assert (ann.expires_at - ann.created_at).total_seconds() == 8 * 3600
    assert ann.token_id == signed_in(sign_in).token_id


def test_a_public_client_sends_no_secret(provider: IdentityProvider) -> None:
    provider.public = True
    with_secret = OidcSignIn(settings_of(provider))
    assert refused(with_secret) == "the provider does not take the code: invalid_client"
    without = OidcSignIn(settings_of(provider, client_secret=SecretStr("")))
    assert signed_in(without).name == "Ann"
    with_secret.close()
    without.close()


def test_a_session_ends_with_the_id_token_where_that_is_set(provider: IdentityProvider) -> None:
    opened = OidcSignIn(settings_of(provider, end_with_id_token=True))
    ann = signed_in(opened)
    assert ann.expires_at
    assert 290 < ann.expires_at.timestamp() - time.time() <= 300
    opened.close()


def changed(**claims: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda before: {**before, **claims}


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda before: {n: v for n, v in before.items() if n != name}


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (changed(nonce="another"), "the id token is refused: it belongs to another sign-in"),
        (without("nonce"), "the id token is refused: it has no nonce"),
        (changed(aud="another application"), "the id token is refused: it was made for another application"),
        (changed(aud=[CLIENT_ID, "b"], azp="b"), "the id token is refused: it was given to another application"),
        (changed(aud=[CLIENT_ID, "b"]), "the id token is refused: it has no azp"),
        (without("aud"), "the id token is refused: it has no aud"),
        (changed(iss="https://other.example"), "the id token is refused: it was issued by another provider"),
        (changed(exp=int(time.time()) - 120), "the id token is expired; the clocks may differ"),
        (without("exp"), "the id token is refused: it has no exp"),
        (changed(exp="tomorrow"), "the id token is refused: its exp is wrong"),
        (changed(at_hash="AAAAAAAAAAAAAAAAAAAAAA"), "it does not belong to the access token beside it"),
        (changed(sub=""), "the id token names nobody"),
        (changed(sub=["a"]), "the id token is refused: its sub is wrong"),
        (changed(iat=int(time.time()) + 3600), "it was issued in the future"),
    ],
)
def test_an_id_token_with_a_wrong_claim_is_refused(
    provider: IdentityProvider, sign_in: OidcSignIn, alter: Callable[[dict[str, Any]], dict[str, Any]], reason: str
) -> None:
    provider.alter = alter
    assert reason in refused(sign_in)


def test_clocks_may_differ_by_as_much_as_is_set(provider: IdentityProvider) -> None:
    provider.alter = changed(exp=int(time.time()) - 30)
    patient, strict = OidcSignIn(settings_of(provider)), OidcSignIn(settings_of(provider, clock_skew_s=0))
    assert signed_in(patient).name == "Ann"
    assert "expired" in refused(strict)
    patient.close()
    strict.close()


def _unsigned(claims: dict[str, Any]) -> str:
    header = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"  # {"alg":"none","typ":"JWT"}
    return f"{header}.{jwt.encode({'alg': 'HS256'}, claims, OctKey.generate_key()).split('.')[1]}."


def _by_the_secret(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET * 2))


def _by_another_key(claims: dict[str, Any]) -> str:
    key = RSAKey.generate_key(2048)
    return jwt.encode({"alg": "RS256", "kid": "mine"}, claims, key)


@pytest.mark.parametrize(
    ("sign", "reason"),
    [
        (_unsigned, "is not signed by one of RS256"),
        (_by_the_secret, "is not signed by one of RS256"),
        (_by_another_key, "signed by a key that the provider does not publish"),
        (lambda _: "no.token", "cannot be read"),
    ],
)
def test_an_id_token_that_the_provider_did_not_sign_is_refused(
    provider: IdentityProvider, sign_in: OidcSignIn, sign: Callable[[dict[str, Any]], str], reason: str
) -> None:
    provider.sign = sign
    assert reason in refused(sign_in)


def test_a_changed_id_token_is_refused(provider: IdentityProvider, sign_in: OidcSignIn) -> None:
    def swapped(claims: dict[str, Any]) -> str:
        head, _, signature = provider.signed(claims).split(".")
        body = provider.signed({**claims, "groups": ["audit-root"]}).split(".")[1]
        return f"{head}.{body}.{signature}"

    provider.sign = swapped
    assert refused(sign_in) == "the signature of the id token is wrong"


@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_after_a_rotation_of_keys_the_new_ones_are_asked_for(
    provider: IdentityProvider, sign_in: OidcSignIn, kind: Any
) -> None:
    signed_in(sign_in)
    provider.rotate(kind)
    assert signed_in(sign_in).name == "Ann"
    provider.asked.clear()
    assert signed_in(sign_in).name == "Ann"
    assert provider.asked == ["/authorize", "/token"]  # neither the description nor the keys once more


def test_unknown_keys_are_not_asked_for_again_and_again(provider: IdentityProvider) -> None:
    opened = OidcSignIn(settings_of(provider, key_refresh_s=60.0))
    signed_in(opened)
    provider.sign, before = _by_another_key, provider.asked.count("/keys")
    refused(opened)
    refused(opened)
    assert provider.asked.count("/keys") == before
    opened.close()


def test_a_code_is_good_once(sign_in: OidcSignIn) -> None:
    address, attempt = sign_in.begin(BACK, "/")
    answer = brought(address)
    assert sign_in.finish(attempt, answer, BACK).name == "Ann"
    with pytest.raises(SignInRefused, match="does not take the code: invalid_grant"):
        sign_in.finish(attempt, answer, BACK)


def test_an_answer_that_belongs_to_another_attempt_or_browser_is_refused(sign_in: OidcSignIn) -> None:
    address, attempt = sign_in.begin(BACK, "/")
    answer = brought(address)
    other = sign_in.begin(BACK, "/")[1]
    for kept in (None, other, replace(attempt, state="")):
        with pytest.raises(SignInRefused, match="belongs to no sign-in that this browser began"):
            sign_in.finish(kept, answer, BACK)
    with pytest.raises(SignInRefused, match="does not take the code"):
        # The state alone is not enough: the code is tied to the verifier of its attempt.
        sign_in.finish(replace(attempt, verifier=other.verifier), answer, BACK)


def test_an_answer_of_another_provider_or_after_too_long_is_refused(sign_in: OidcSignIn) -> None:
    address, attempt = sign_in.begin(BACK, "/")
    answer = brought(address)
    with pytest.raises(SignInRefused, match="another provider"):
        sign_in.finish(attempt, {**answer, "iss": "https://other.example"}, BACK)
    with pytest.raises(SignInRefused, match="too long"):
        sign_in.finish(replace(attempt, started_at=attempt.started_at - 601), answer, BACK)
    with pytest.raises(SignInRefused, match="sent no code"):
        sign_in.finish(attempt, {"state": attempt.state}, BACK)


def test_what_the_provider_refuses_is_told(sign_in: OidcSignIn) -> None:
    assert refused(sign_in, "mallory") == "the provider refused: access_denied"


def test_a_person_whom_no_rule_lets_in_is_told_what_rules_ask_for(
    provider: IdentityProvider, sign_in: OidcSignIn
) -> None:
    provider.people["bob"] = {"email": "bob@example.com", "groups": ["staff"]}
    with pytest.raises(NoRole) as caught:
        signed_in(sign_in, "bob")
    assert (caught.value.login, caught.value.wanted) == ("bob@example.com", (("groups", "audit-*"),))


def test_claims_come_from_the_userinfo_endpoint_where_that_is_set(provider: IdentityProvider) -> None:
    provider.people = {"cleo": {"userinfo:groups": ["audit-x"], "userinfo:name": "Cleo"}}
    asking, plain = OidcSignIn(settings_of(provider, userinfo=True)), OidcSignIn(settings_of(provider))
    assert signed_in(asking, "cleo").name == "Cleo"
    assert refused(plain, "cleo") == "no rule gives this person a role"
    provider.people["cleo"]["userinfo:sub"] = "somebody else"
    assert refused(asking, "cleo") == "the userinfo endpoint told of another person"
    asking.close()
    plain.close()


def test_while_the_provider_is_away_it_is_said_and_a_known_description_goes_on(provider: IdentityProvider) -> None:
    now = [0.0]
    settings = settings_of(provider, discovery_s=10.0)
    known = OidcSignIn(settings, Provider(settings, clock=lambda: now[0]))
    known.begin(BACK, "/")
    provider.away = True
    now[0] = 11.0
    assert known.begin(BACK, "/")[0].startswith(f"{provider.issuer}/authorize?")
    later = [0.0]
    fresh = OidcSignIn(settings, Provider(settings, clock=lambda: later[0]))
    asked = len(provider.asked)
    for _ in range(5):
        with pytest.raises(ProviderUnavailable, match="503"):
            fresh.begin(BACK, "/")
    assert len(provider.asked) == asked + 1  # whoever comes a moment later does not wait for the same answer
    with pytest.raises(ProviderUnavailable, match="503"):
        known.finish(Attempt("s", "n", "v", time.time(), "/"), {"state": "s", "code": "c"}, BACK)
    provider.away, later[0] = False, 3.0
    assert fresh.begin(BACK, "/")[1].back == "/"
    known.close()
    fresh.close()


def test_an_attempt_that_another_version_began_counts_as_none() -> None:
    attempt = Attempt("s", "n", "v", 1.0, "/")
    assert Attempt.of_data(attempt.to_data()) == attempt
    assert Attempt.of_data({"state": "s"}) is None
    assert Attempt.of_data(None) is None


def test_a_provider_that_nobody_answers_for_or_that_has_another_name_is_unavailable(
    provider: IdentityProvider,
) -> None:
    nobody = OidcSignIn(settings_of(provider, issuer=f"http://{LOOPBACK}:{free_port()}", timeout_s=1.0))
    with pytest.raises(ProviderUnavailable, match="does not answer: ConnectError"):
        nobody.begin(BACK, "/")
    other_name = OidcSignIn(settings_of(provider, issuer=f"{provider.issuer}/"))
    with pytest.raises(ProviderUnavailable, match="calls itself"):
        other_name.begin(BACK, "/")
    nobody.close()
    other_name.close()


def test_signing_out_leads_to_the_provider_and_back(provider: IdentityProvider, sign_in: OidcSignIn) -> None:
    address = sign_in.sign_out_address("http://127.0.0.1:8480/sign-in")
    assert address.startswith(f"{provider.issuer}/end?")
    assert "Signed out" in httpx.get(address).text
    off = OidcSignIn(settings_of(provider, logout=False))
    assert off.sign_out_address("http://127.0.0.1:8480/sign-in") == ""
    off.close()
