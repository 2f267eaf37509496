"""Whether the process can do its work now: for load balancers and deployments, without a token."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import anyio
import anyio.to_thread
import structlog
from anyio.lowlevel import RunVar
from starlette.requests import Request
from starlette.responses import Response

from query.access.errors import TokenStoreUnavailable
from query.http.encoding import to_json
from query.http.service import ReadService

log = structlog.get_logger(__name__)

LIVE_PATH, READY_PATH = "/health/live", "/health/ready"
#: Seconds for which an answer is given again: whoever asks needs no token, and must not cost the readers anything.
_KEPT_S = 1.0
#: Less than what health checks wait.
_TIMEOUT_S = 3.0
_LIMITER: RunVar[anyio.CapacityLimiter] = RunVar("health")


class Readiness:
    """Answers whether the database answers and records of reads can be kept; details are in the log only."""

    def __init__(
        self,
        service: ReadService,
        facts: Mapping[str, str] | None = None,
        *,
        kept_s: float = _KEPT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare it; nothing is asked yet.

        Args:
            service: What answers reads.
            facts: Further members of the answer that decide nothing.
            kept_s: Seconds for which an answer is given again.
            clock: Monotonic time, seconds.
        """
        self._checks: Mapping[str, Callable[[], str]] = {
            "database": partial(_database, service),
            "records": service.recorder.obstacle,
        }
        self._facts, self._kept_s, self._clock = dict(facts or {}), kept_s, clock
        self._kept: tuple[float, Mapping[str, str]] | None = None

    async def answer(self, request: Request) -> Response:
        """Answer 200 when everything is well, 503 when something is not."""
        del request
        checks = await self._looked()
        ready = set(checks.values()) == {"ok"}
        body = {"status": "ready" if ready else "not ready", "checks": checks, **self._facts}
        headers = {} if ready else {"Retry-After": "5"}
        return Response(to_json(body), 200 if ready else 503, headers=headers, media_type="application/json")

    async def _looked(self) -> Mapping[str, str]:
        if self._kept is None or self._clock() - self._kept[0] >= self._kept_s:
            checks = {name: await _checked(name, check) for name, check in self._checks.items()}
            self._kept = self._clock(), checks
        return self._kept[1]


async def _checked(name: str, check: Callable[[], str]) -> str:
    try:
        limiter = _LIMITER.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(2)
        _LIMITER.set(limiter)
    problem = "no answer in time"
    with anyio.move_on_after(_TIMEOUT_S):
        problem = await anyio.to_thread.run_sync(check, abandon_on_cancel=True, limiter=limiter)
    if not problem:
        return "ok"
    log.warning("not_ready", check=name, reason=problem)
    return "failed"


def _database(service: ReadService) -> str:
    try:
        service.tokens.check()
    except TokenStoreUnavailable as error:
        return str(error)
    return ""
