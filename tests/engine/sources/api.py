"""A real HTTP server that sends the responses that a test defines."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class ReceivedRequest:
    """A request that the server received."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes
    client_port: int  # the port of the connection at the side of the client

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """A response. `declared_length` is a wrong Content-Length. A `silent` reply is never sent."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    declared_length: int | None = None
    silent: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


RequestHandler = Callable[[ReceivedRequest], Reply]


class Api(ThreadingHTTPServer):
    """Answer requests on loopback with the replies of `respond`, and record every request."""

    daemon_threads = True

    def __init__(self, respond: RequestHandler) -> None:
        self.respond = respond
        self.requests: list[ReceivedRequest] = []
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # sends head and body in one packet
    server: Api

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = ReceivedRequest(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers,
            self.rfile.read(length),
            self.client_address[1],
        )
        self.server.requests.append(request)
        reply = self.server.respond(request)
        if reply.silent:
            self.server.closing.wait(30)
            self.close_connection = True
            return
        content = reply.content
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(reply.declared_length or len(content)))
        self.end_headers()
        self.wfile.write(content)
        if reply.declared_length:
            self.close_connection = True

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def serve_api(respond: RequestHandler) -> Iterator[Api]:
    """Run the server for the time of the block."""
    api = Api(respond)
    thread = threading.Thread(target=api.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.closing.set()
        api.shutdown()
        api.server_close()
        thread.join()


def always_reply(reply: Reply) -> RequestHandler:
    return lambda _: reply
