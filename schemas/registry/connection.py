"""HTTP to a schema registry: time-outs, retries, and every foreign failure translated once."""

from __future__ import annotations

import json
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from schemas.errors import RegistryRefused, RegistryUnavailable, SchemaError
from schemas.settings import RegistrySettings

#: Media type of the Confluent API. Source: Confluent Schema Registry API reference, "Content Types".
_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
#: Decoded JSON.
Json = Any

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_TOO_MANY_REQUESTS = 429
#: Statuses of a proxy or registry that is overloaded or starting; waiting mends them.
_RETRIED = frozenset({408, 425, _TOO_MANY_REQUESTS})
_URL_ADVICE = "check registry.url: it must be the root of the Confluent API (Apicurio serves it under /apis/ccompat/v7)"
_CREDENTIALS_ADVICE = "check registry.username and registry.password, and what that user may do"
_CERTIFICATE_ADVICE = "check registry.ca_file: it must hold the authority that signed the registry's certificate"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the registry answered to a request that it understood.

    Attributes:
        status: HTTP status, 2xx or 4xx.
        body: Decoded JSON.
    """

    status: int
    body: Json

    @property
    def error_code(self) -> int:
        """Error code of the Confluent API, for example 40403; the HTTP status when the body has none."""
        code = self.body.get("error_code") if isinstance(self.body, dict) else None
        return code if isinstance(code, int) else self.status

    @property
    def message(self) -> str:
        """The registry's own words about an error."""
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""


class _PauseAsked(RegistryUnavailable):
    """An outage for which the registry itself named the pause."""


class Connection:
    """Sends requests until one is answered or the attempts are used up. Safe for several threads."""

    def __init__(
        self,
        settings: RegistrySettings,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] | None = None,
    ) -> None:
        """Prepare a connection; nothing is sent yet.

        Args:
            settings: Address, credentials and patience.
            transport: Replaces the network.
            sleep: Waits that many seconds.
            jitter: Returns a share from 0 to 1 of the longest pause.

        Raises:
            RegistryRefused: The address is not a URL, or the certificate file cannot be read.
        """
        url = _parsed(settings.url)
        #: Address without credentials, for messages and as identity of the registry.
        self.url = str(url.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")
        self._retries, self._timeout_s = settings.retries, settings.timeout_s
        self._sleep, self._jitter = sleep, jitter or random.SystemRandom().random
        self._client = httpx.Client(
            auth=_credentials(settings, url),
            headers={"Accept": f"{_MEDIA_TYPE}, application/json", "Content-Type": _MEDIA_TYPE},
            timeout=settings.timeout_s,
            verify=_verification(settings),
            transport=transport,
        )

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, patient: bool = True) -> Answer:
        """Send one request, repeating it while there is no usable answer.

        Args:
            method: HTTP method; every request of the API used here may be repeated.
            path: Path below the address, percent-encoded, beginning with ``/``.
            body: JSON data to send.
            patient: False tries only once, for a caller that has something to fall back on.

        Raises:
            RegistryUnavailable: No usable answer in any attempt.
            RegistryRefused: Credentials, certificate or address are wrong.
        """
        outage: RegistryUnavailable | None = None
        for pause_s in self._pauses() if patient else (0.0,):
            if outage:
                asked_s = outage.retry_after_s if isinstance(outage, _PauseAsked) else 0.0
                self._sleep(max(pause_s, min(asked_s, _LONGEST_PAUSE_S)))
            try:
                return self._attempt(method, path, body)
            except RegistryUnavailable as error:
                outage = error
        if outage is None:
            raise RegistryUnavailable(f"{method} {self.url}{path} was never tried")
        raise outage

    def close(self) -> None:
        """Release connections. Idempotent."""
        self._client.close()

    def _pauses(self) -> Iterator[float]:
        yield 0.0
        for attempt in range(self._retries):
            # Full jitter, so that workers which lost the registry together do not return together.
            yield min(_FIRST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S) * self._jitter()

    def _attempt(self, method: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        what = f"{method} {self.url}{path}"
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        try:
            response = self._client.request(method, f"{self.url}{path}", content=content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise translated(what, error, self._timeout_s) from error
        _check_status(what, response)
        return Answer(response.status_code, _json(what, response))


def translated(what: str, error: Exception, timeout_s: float) -> SchemaError:
    """Turn an error of the HTTP library into one that says what to do.

    Args:
        what: The request, without secrets.
        error: What the library raised.
        timeout_s: Seconds a request may take.
    """
    if isinstance(error, httpx.TimeoutException):
        return RegistryUnavailable(f"{what}: no answer within {timeout_s:g} s")
    if _is_certificate_error(error):
        return RegistryRefused(f"{what}: {error}", _CERTIFICATE_ADVICE)
    settings_are_wrong = (
        httpx.UnsupportedProtocol,
        httpx.InvalidURL,
        httpx.TooManyRedirects,
        httpx.LocalProtocolError,
        httpx.DecodingError,
    )
    if isinstance(error, settings_are_wrong):
        return RegistryRefused(f"{what}: {error or type(error).__name__}", _URL_ADVICE)
    return RegistryUnavailable(f"{what}: {type(error).__name__}: {error}")


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _check_status(what: str, response: httpx.Response) -> None:
    status = response.status_code
    if status >= 500 or status in _RETRIED:
        raise _overloaded(f"{what}: HTTP {status}", response.headers.get("retry-after", ""))
    if status in {401, 403}:
        raise RegistryRefused(f"{what}: HTTP {status}", _CREDENTIALS_ADVICE, status=status)
    if 300 <= status < 400:
        raise RegistryRefused(f"{what}: HTTP {status}, a redirect", _URL_ADVICE, status=status)


def _json(what: str, response: httpx.Response) -> Json:
    if response.status_code == 204:
        return None
    try:
        return response.json()
    except ValueError as error:
        kind = response.headers.get("content-type", "no content type")
        detail = f"{what}: HTTP {response.status_code} with {kind} where JSON was expected"
        raise RegistryRefused(detail, _URL_ADVICE, status=response.status_code) from error


def _overloaded(detail: str, retry_after: str) -> RegistryUnavailable:
    # The header may also be a date; then the registry is asked again as if it had named no pause.
    if retry_after.isdecimal():
        return _PauseAsked(detail, retry_after_s=float(retry_after))
    return RegistryUnavailable(detail)


def _parsed(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        # The text of the error is left out: of a mistyped URL it may quote the password.
        raise RegistryRefused("registry.url cannot be understood as a URL", _URL_ADVICE) from None
    if url.scheme not in {"http", "https"} or not url.host:
        shown = f"{url.scheme}://{url.host}" if url.scheme else "no scheme"
        raise RegistryRefused(f"registry.url has {shown}, expected http://, https:// or mock://", _URL_ADVICE)
    return url


def _credentials(settings: RegistrySettings, url: httpx.URL) -> httpx.BasicAuth | None:
    username = settings.username or url.username
    password = settings.password.get_secret_value() or url.password
    return httpx.BasicAuth(username, password) if username else None


def _verification(settings: RegistrySettings) -> ssl.SSLContext | bool:
    if settings.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise RegistryRefused(f"registry.ca_file {settings.ca_file}: {error}", _CERTIFICATE_ADVICE) from error
