"""Files as answers: streamed, and closed however the answer ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote

import anyio.to_thread
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is sent.

    Attributes:
        file: Open for reading, at its beginning.
        name: Its name for whoever keeps it.
        media_type: What it is.
        bytes: Its size.
        close: Releases it; called once, from a thread.
    """

    file: BinaryIO
    name: str
    media_type: str
    bytes: int
    close: Callable[[], None]


def file_response(sent: OpenFile) -> Response:
    """Return the response that sends a file and closes it, also when the caller goes away."""
    return _FileResponse(sent)


class _FileResponse(StreamingResponse):
    def __init__(self, sent: OpenFile) -> None:
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(sent.name)}",
            "Content-Length": str(sent.bytes),
        }
        super().__init__(_chunks(sent.file), media_type=sent.media_type, headers=headers)
        self._close = sent.close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._close)


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while data := await anyio.to_thread.run_sync(file.read, _CHUNK_BYTES):
        yield data
