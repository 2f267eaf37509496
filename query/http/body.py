"""Request bodies, read up to a limit."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from query.http.problems import Problem

_JSON = ("application/json", "")


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Return the body of a request.

    Raises:
        Problem: It is larger than allowed, or the caller went away.
    """
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most_bytes:
                raise Problem("too-large", f"the body has more than {most_bytes} bytes")
            parts.append(part)
    except ClientDisconnect:
        raise Problem("invalid-body", "the body ended early") from None
    return b"".join(parts)


async def read_json(request: Request, most_bytes: int) -> dict[str, Any]:
    """Return the JSON object of a request's body.

    Raises:
        Problem: It is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _JSON:
        raise Problem("unsupported-media-type", f'the body is "{kind}"; expected application/json')
    body = await read_body(request, most_bytes)
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem("invalid-body", f"the body is no JSON: {error}", position=error.pos) from None
    if not isinstance(found, dict):
        raise Problem("invalid-body", "the body is no JSON object", pointer="")
    return found
