"""The signature of calls: HMAC-SHA256 over the time and the body, so that neither can be changed or replayed later."""

from __future__ import annotations

import hashlib
import hmac

HEADER = "Auditstream-Signature"


def signature(secret: str, moment: int, body: bytes) -> str:
    """Return the value of the header: ``t=<seconds since 1970>,v1=<64 hexadecimal digits>``.

    Args:
        secret: Key that the service knows too.
        moment: Time of the call, seconds since 1970.
        body: The body exactly as it is sent.
    """
    digest = hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def verify(secret: str, header: str, body: bytes, now: int, tolerance_s: int = 300) -> bool:
    """Tell whether a signature is right and not too old; for services written in Python, and as their example.

    Args:
        secret: Key of the route.
        header: Value of the header.
        body: The body exactly as it came.
        now: Time now, seconds since 1970.
        tolerance_s: Seconds that the two clocks and the way may differ.
    """
    moment = header.partition(",")[0].removeprefix("t=")
    if not (moment.isascii() and moment.isdigit() and len(moment) < 20):
        return False
    fresh = abs(now - int(moment)) <= tolerance_s
    return hmac.compare_digest(signature(secret, int(moment), body).encode(), header.encode()) and fresh
