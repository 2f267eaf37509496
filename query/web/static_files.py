"""Style sheets, scripts and pictures of the page, under addresses that change with their content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_DIGEST_CHARACTERS = 12
#: What has a digest in its address never changes.
_CACHED = "public, max-age=31536000, immutable"


class StaticFiles:
    """All files of ``query/web/static``, read once."""

    def __init__(self) -> None:
        """Read them."""
        found = files("query.web").joinpath("static")
        self._content: Mapping[str, bytes] = {f.name: f.read_bytes() for f in found.iterdir() if _type(f.name)}
        self._digests = {
            name: hashlib.sha256(content).hexdigest()[:_DIGEST_CHARACTERS] for name, content in self._content.items()
        }

    def url(self, name: str) -> str:
        """Return the address of a file.

        Raises:
            KeyError: There is none of this name.
        """
        return f"/static/{self._digests[name]}/{name}"

    def route(self) -> Route:
        """Return what answers their addresses; they need no sign-in."""
        return Route("/static/{digest}/{name}", self._answer, name="static")

    async def _answer(self, request: Request) -> Response:
        name = request.path_params["name"]
        if self._digests.get(name) != request.path_params["digest"]:
            return PlainTextResponse("there is no such file; load the page again\n", 404)
        headers = {"Cache-Control": _CACHED, "Cross-Origin-Resource-Policy": "same-origin"}
        return Response(self._content[name], media_type=_type(name), headers=headers)


def _type(name: str) -> str:
    return next((kind for end, kind in _TYPES.items() if name.endswith(end)), "")
