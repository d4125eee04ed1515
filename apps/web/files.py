"""Send files on the event loop, so that slow clients do not occupy threads of the web process.

Django passes a file to `wsgi.file_wrapper` (PEP 3333) if the server provides this wrapper. Drover's wrapper stores the
file in the ASGI scope. After the response's headers are sent, the file is read in chunks, as fast as the client
receives them.
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

CHUNK_SIZE = 256 * 1024  # bytes
FILE_KEY = "drover.file"  # key of the ASGI scope


class PendingFile:
    """A file that is sent in place of a response body."""

    def __init__(self, file: BinaryIO, block_size: int = CHUNK_SIZE) -> None:
        self.file = file


def store_files_in_scope(wsgi: Wsgi) -> Wsgi:
    """Wrap a WSGI application. If its response is a file, store the file in the ASGI scope."""
    from django.db import close_old_connections

    def application(environ: Environ, start_response: Any) -> Iterable[bytes]:
        body = wsgi({**environ, "wsgi.file_wrapper": PendingFile}, start_response)
        if not isinstance(body, PendingFile):
            return body
        environ["asgi.scope"][FILE_KEY] = body.file
        close_old_connections()  # The request ends in another thread, which cannot close them.
        return ()

    return application


def send_stored_file(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> Send:
    """Return a `send` that replaces the last message of the body by the file in `scope`, if there is one."""

    async def send_with_file(message: Message) -> None:
        file = scope.get(FILE_KEY)
        if file is None or message["type"] != "http.response.body" or message.get("more_body"):
            await send(message)
            return
        try:
            await _send_file(file, receive, send)
        finally:
            await asyncio.to_thread(file.close)

    return send_with_file


async def _send_file(file: BinaryIO, receive: Receive, send: Send) -> None:
    disconnected = asyncio.create_task(_wait_for_disconnect(receive))
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK_SIZE):
            if disconnected.done():
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        disconnected.cancel()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
