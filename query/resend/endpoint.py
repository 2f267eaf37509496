"""Requests to an endpoint of the emitting service: signed calls, repeated while none is answered."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import structlog

from query.resend.request import Command, Outcome
from query.resend.signature import HEADER, signature
from query.resend_settings import RouteSettings

log = structlog.get_logger(__name__)

#: Characters of an answer that are kept, and bytes of it that are read.
_KEPT_CHARACTERS, _READ_BYTES = 300, 4096
_LONGEST_PAUSE_S = 10.0
#: Statuses of a service that is overloaded or starting; asking again may help. So do those from 500.
_REPEATED = frozenset({408, 425, 429})
_SETTING_ADVICE = "correct resend.routes.{}.url"


@dataclass(frozen=True, slots=True)
class _Answer:
    """One call that was answered, or was not.

    ``status`` is None without an answer; ``final`` says that another call would be answered the same.
    """

    status: int | None
    text: str
    final: bool
    pause_s: float = 0.0


class Endpoint:
    """The way of a route with a URL. Any thread may ask.

    Only the URL of the settings is ever called, never one of an event; redirects are not followed, and no proxy of the
    environment is used.
    """

    def __init__(
        self,
        name: str,
        route: RouteSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare it; nothing is sent yet.

        Args:
            name: Name of the route.
            route: Address, secret and patience.
            clock: Monotonic time, seconds.
            sleep: Waits that many seconds.
            transport: Replaces the network.

        Raises:
            OSError: The file of the certificate authority cannot be read.
        """
        self._name, self._route, self._clock, self._sleep = name, route, clock, sleep
        self._client = httpx.Client(
            timeout=route.timeout_s,
            verify=ssl.create_default_context(cafile=str(route.ca_file)) if route.ca_file else True,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    def deliver(self, command: Command) -> Outcome:
        """Call until the service answers, the attempts are used up or the deadline is reached; see ``Way``."""
        body, ends_at = command.body(), self._clock() + self._route.deadline_s
        for attempt in range(1, self._route.attempts + 1):
            answer = self._call(command, body, ends_at)
            pause_s = max(answer.pause_s, self._pause_s(attempt))
            late = self._clock() + pause_s >= ends_at
            if answer.final or late or attempt == self._route.attempts:
                return _outcome(answer, attempt)
            log.info("resend_repeated", route=self._name, attempt=attempt, status=answer.status)
            self._sleep(pause_s)
        raise AssertionError("a route has at least one attempt")

    def close(self) -> None:
        """Release connections. Idempotent."""
        self._client.close()

    def _pause_s(self, attempt: int) -> float:
        # Full jitter, so that requests that failed together do not return together.
        ceiling = min(_LONGEST_PAUSE_S, self._route.first_pause_s * 2.0 ** (attempt - 1))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads load, keeps no secret

    def _call(self, command: Command, body: bytes, ends_at: float) -> _Answer:
        left_s = max(0.1, min(self._route.timeout_s, ends_at - self._clock()))
        # Each call is signed at its own time, else the last one might be refused as too old.
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": str(command.resend_id),
            HEADER: signature(self._route.secret.get_secret_value(), int(time.time()), body),
        }
        try:
            with self._client.stream(
                "POST", self._route.url, content=body, headers=headers, timeout=left_s
            ) as response:
                return self._answer(response, self._clock() + left_s)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._unanswered(error)

    def _answer(self, response: httpx.Response, ends_at: float) -> _Answer:
        status, text = response.status_code, _beginning(response, ends_at, self._clock)
        if 300 <= status < 400:
            return _Answer(
                status, f"a redirect, which is not followed; {_SETTING_ADVICE.format(self._name)}", final=True
            )
        again = status >= 500 or status in _REPEATED
        asked = response.headers.get("retry-after", "")
        return _Answer(status, text, final=not again, pause_s=float(asked) if asked.isdecimal() else 0.0)

    def _unanswered(self, error: Exception) -> _Answer:
        if isinstance(error, httpx.TimeoutException):
            return _Answer(None, f"no answer within {self._route.timeout_s:g} s", final=False)
        wrong = isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError))
        wrong = wrong or _is_certificate_error(error)
        advice = f"; {_SETTING_ADVICE.format(self._name)} or its ca_file" if wrong else ""
        return _Answer(None, f"{type(error).__name__}: {error}{advice}", final=wrong)


def _outcome(answer: _Answer, attempts: int) -> Outcome:
    text = f": {answer.text}" if answer.text else ""
    if answer.status is None:
        return Outcome("unanswered", f"the service was not reached{text}", None, attempts)
    if 200 <= answer.status < 300:
        return Outcome("accepted", f"the service took the request{text}", answer.status, attempts)
    if answer.final:
        return Outcome("refused", f"the service refused with HTTP {answer.status}{text}", answer.status, attempts)
    return Outcome("unanswered", f"the service failed with HTTP {answer.status}{text}", answer.status, attempts)


def _beginning(response: httpx.Response, ends_at: float, clock: Callable[[], float]) -> str:
    """Return the beginning of an answer as one line; a service that sends slowly or much is cut off."""
    found = b""
    for part in response.iter_bytes(_READ_BYTES):
        found += part
        if len(found) >= _READ_BYTES or clock() >= ends_at:
            break
    text = " ".join(found.decode("utf-8", "replace").split())
    return "".join(c for c in text if c.isprintable())[:_KEPT_CHARACTERS]


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
