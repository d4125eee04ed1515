"""Send files on the event loop, so that slow clients do not occupy threads of the web process.

Django passes a file to `wsgi.file_wrapper` (PEP 3333) if the server has one. Ours keeps the file until the
response's headers are sent; then it is read in pieces, as fast as the client receives them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, BinaryIO

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Environ = dict[str, Any]
Wsgi = Callable[[Environ, Any], Iterable[bytes]]

PIECE = 256 * 1024  # bytes
KEPT = "drover.file"  # key of the ASGI scope


class PendingFile:
    """A file instead of a body."""

    def __init__(self, file: BinaryIO, block_size: int = PIECE) -> None:
        self.file = file


def leaving_files_in_scope(wsgi: Wsgi) -> Wsgi:
    """Wrap a WSGI application so that its files are left in the ASGI scope."""
    from django.db import close_old_connections

    def application(environ: Environ, start_response: Any) -> Iterable[bytes]:
        body = wsgi({**environ, "wsgi.file_wrapper": PendingFile}, start_response)
        if not isinstance(body, PendingFile):
            return body
        environ["asgi.scope"][KEPT] = body.file
        close_old_connections()  # The end of the request runs in another thread.
        return ()

    return application


def following(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> Send:
    """Wrap `send` to send the file that was left in `scope` at the end of the body."""

    async def with_file(message: Message) -> None:
        file = scope.get(KEPT)
        if file is None or message["type"] != "http.response.body" or message.get("more_body"):
            await send(message)
            return
        try:
            await _send_file(file, receive, send)
        finally:
            await asyncio.to_thread(file.close)

    return with_file


async def _send_file(file: BinaryIO, receive: Receive, send: Send) -> None:
    gone = asyncio.create_task(_until_gone(receive))
    try:
        while piece := await asyncio.to_thread(file.read, PIECE):
            if gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        gone.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
