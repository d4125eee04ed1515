"""A local HTTP server that records the messages of a channel, and answers as a test says."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0  # seconds before the answer


@dataclass(frozen=True)
class Received:
    at: float  # of time.monotonic()
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = orjson.loads(self.body)
        return message


class Receiver:
    """`replies` are used one after the other; then every answer is 200."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook"
        self.replies: list[Reply] = []
        self.requests: list[Received] = []

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [request.message for request in self.requests]

    def pipelines(self) -> list[list[tuple[str, str]]]:
        """Return (kind, name of the pipeline) of the events of each message."""
        return [
            [(event["kind"], event["pipeline"]["name"]) for event in message["events"]]
            for message in self.messages
        ]


@contextmanager
def running_receiver(certificate: Path | None = None) -> Iterator[Receiver]:
    """Run it, over TLS with a certificate and its key."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append(Received(time.monotonic(), self.path, headers, body))
            reply = receiver.replies.pop(0) if receiver.replies else Reply()
            stopping.wait(reply.wait)
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def do_GET(self) -> None:  # A client that follows a redirect of a POST may send this.
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    stopping = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_port)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        receiver.url = receiver.url.replace("http:", "https:")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
