"""HTTP to a registry: what is retried, what is an outage, what is a refusal, and that no secret is told."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.errors import RegistryRefused, RegistryUnavailable, SchemaError
from schemas.registry.connection import Connection, translated
from schemas.settings import RegistrySettings

Handler = Callable[[httpx.Request], httpx.Response]
SECRET = "s3cr3t-pa55"


class Clock:
    """Records pauses instead of waiting."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def connection(handler: Handler, clock: Clock | None = None, **settings: Any) -> Connection:
    return Connection(
        RegistrySettings(**{"url": "http://registry.test", **settings}),
        transport=httpx.MockTransport(handler),
        sleep=(clock or Clock()).sleep,
        jitter=lambda: 1.0,
    )


def in_turn(*answers: httpx.Response | Exception) -> Handler:
    remaining = list(answers)

    def handler(request: httpx.Request) -> httpx.Response:
        answer = remaining.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handler


def every_http_error() -> list[type[Exception]]:
    def below(kind: type[Exception]) -> list[type[Exception]]:
        return [kind, *(c for child in kind.__subclasses__() for c in below(child))]

    return [*below(httpx.HTTPError), httpx.InvalidURL]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 425, 429])
def test_an_overloaded_or_starting_registry_is_asked_again(status: int) -> None:
    clock = Clock()
    opened = connection(in_turn(httpx.Response(status), httpx.Response(200, json=[1])), clock)
    assert opened.ask("GET", "/subjects").body == [1]
    assert len(clock.pauses) == 1


def test_a_lost_connection_is_retried_until_the_attempts_are_used_up() -> None:
    clock = Clock()
    opened = connection(in_turn(*[httpx.ConnectError("refused")] * 4), clock, retries=3)
    with pytest.raises(RegistryUnavailable, match="ConnectError: refused"):
        opened.ask("GET", "/subjects")
    assert len(clock.pauses) == 3
    assert clock.pauses == [0.1, 0.2, 0.4]


def test_pauses_grow_and_have_an_end() -> None:
    clock = Clock()
    opened = connection(in_turn(*[httpx.ReadTimeout("slow")] * 11), clock, retries=10)
    with pytest.raises(RegistryUnavailable, match="no answer within 5 s"):
        opened.ask("GET", "/subjects")
    assert clock.pauses == sorted(clock.pauses)
    assert clock.pauses[-1] == 5.0


def test_an_impatient_question_is_asked_once() -> None:
    clock = Clock()
    with pytest.raises(RegistryUnavailable):
        connection(in_turn(httpx.Response(503)), clock).ask("GET", "/subjects", patient=False)
    assert clock.pauses == []


def test_the_registry_may_say_how_long_to_wait() -> None:
    clock = Clock()
    busy = httpx.Response(429, headers={"retry-after": "3"})
    with pytest.raises(RegistryUnavailable) as caught:
        connection(in_turn(busy, busy), clock, retries=1).ask("GET", "/subjects")
    assert caught.value.retry_after_s == 3.0
    assert clock.pauses == [3.0]


def test_a_date_to_wait_for_is_not_a_crash() -> None:
    busy = httpx.Response(503, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})
    with pytest.raises(RegistryUnavailable) as caught:
        connection(in_turn(busy), retries=0).ask("GET", "/subjects")
    assert caught.value.retry_after_s == 1.0


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_are_refused_at_once_and_the_settings_named(status: int) -> None:
    with pytest.raises(RegistryRefused, match=r"registry\.username and registry\.password") as caught:
        connection(in_turn(httpx.Response(status, text="no")), username="u", password=SECRET).ask("GET", "/subjects")
    assert caught.value.status == status
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("status", [200, 404])
def test_a_web_page_instead_of_the_registry_is_refused_and_the_address_named(status: int) -> None:
    page = httpx.Response(status, html="<html>Welcome</html>")
    with pytest.raises(RegistryRefused, match=r"text/html.*where JSON was expected; check registry\.url"):
        connection(in_turn(page)).ask("GET", "/subjects")


def test_a_redirect_is_refused() -> None:
    with pytest.raises(RegistryRefused, match="a redirect"):
        connection(in_turn(httpx.Response(302, headers={"location": "/login"}))).ask("GET", "/subjects")


def test_credentials_are_sent_from_the_settings_or_the_address() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json=[])

    connection(handler, username="ann", password=SECRET).ask("GET", "/subjects")
    connection(handler, url=f"http://ann:{SECRET}@registry.test").ask("GET", "/subjects")
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert seen[0].startswith("Basic ")


def test_credentials_in_the_address_are_never_told() -> None:
    opened = connection(
        in_turn(httpx.Response(503)), url=f"http://ann:{SECRET}@registry.test/x?key={SECRET}", retries=0
    )
    with pytest.raises(RegistryUnavailable) as caught:
        opened.ask("GET", "/subjects")
    assert "http://registry.test/x/subjects" in str(caught.value)
    assert SECRET not in str(caught.value) + opened.url


@pytest.mark.parametrize(
    "url", ["", "registry:8081", "ftp://x", "http://", f"http://u:{SECRET}/a@h:1", "/path", "http://[::1"]
)
def test_an_address_that_is_none_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(RegistryRefused, match=r"registry\.url") as caught:
        Connection(RegistrySettings(url=url))
    assert SECRET not in str(caught.value)


def test_a_certificate_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("not a certificate")
    for file in (broken, tmp_path / "absent.pem"):
        with pytest.raises(RegistryRefused, match=r"check registry\.ca_file"):
            Connection(RegistrySettings(url="https://x", ca_file=file))


def test_a_certificate_that_is_not_trusted_is_a_refusal_and_not_an_outage() -> None:
    error = httpx.ConnectError("certificate verify failed")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    assert "registry.ca_file" in str(translated("GET x", error, 5.0))


@pytest.mark.parametrize("kind", every_http_error(), ids=lambda k: k.__name__)
def test_every_error_of_the_http_library_is_translated(kind: type[Exception]) -> None:
    error = (
        kind("m")
        if kind is not httpx.HTTPStatusError
        else httpx.HTTPStatusError("m", request=httpx.Request("GET", "http://x"), response=httpx.Response(500))
    )
    assert isinstance(translated("GET x", error, 5.0), SchemaError)


@pytest.mark.parametrize(
    "kind", [httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.PoolTimeout, httpx.ProxyError]
)
def test_a_network_that_fails_is_an_outage(kind: type[Exception]) -> None:
    assert isinstance(translated("GET x", kind("m"), 5.0), RegistryUnavailable)


def test_subjects_keep_their_odd_characters_on_the_way() -> None:
    seen: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, json=[])

    connection(handler).ask("GET", "/subjects/a%2Fb%20%C3%A4")
    assert seen == [b"/subjects/a%2Fb%20%C3%A4"]
