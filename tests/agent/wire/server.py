"""A local server that speaks the formats of three providers, and replies what a script says.

with wire_server([Reply("Hello")]) as server:
    connection = server.connection(Provider.ANTHROPIC)
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from apps.agent.chat_models.connections import ModelConnection, Provider
from tests.agent.wire import formats
from tests.agent.wire.replies import End, Reply, Script, WireRequest, reply_to

SILENT_AFTER = 1  # the part of a reply after which it is silent
KEY = "sk-secret-of-the-tests-1234"
MODELS = {
    Provider.OPENAI: "gpt-test",
    Provider.OPENAI_COMPATIBLE: "local-test",
    Provider.ANTHROPIC: "claude-test",
    Provider.GOOGLE: "gemini-test",
}


@dataclass
class WireServer:
    url: str
    script: Script
    requests: list[WireRequest] = field(default_factory=list)
    get_headers: list[dict[str, str]] = field(default_factory=list)  # of each GET request
    script_errors: list[Exception] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def base_url(self, provider: Provider) -> str:
        """Return the base URL that a client of this provider needs."""
        is_openai = provider in {Provider.OPENAI, Provider.OPENAI_COMPATIBLE}
        return f"{self.url}/v1" if is_openai else self.url

    def connection(self, provider: Provider, **fields: Any) -> ModelConnection:
        """Return a connection to this server."""
        values = {
            "model": MODELS[provider],
            "key": KEY,
            "base_url": self.base_url(provider),
            "allow_private": True,
            **fields,
        }
        return ModelConnection(provider=provider, **values)

    def receive(self, path: str, headers: dict[str, str], body: Any) -> Reply:
        with self.lock:
            request = WireRequest(len(self.requests), path, headers, body)
            self.requests.append(request)
        try:
            return reply_to(self.script, request)
        except Exception as error:
            self.script_errors.append(error)
            return Reply(status=500, message=f"The script failed: {error}")


@contextmanager
def wire_server(script: Script) -> Iterator[WireServer]:
    """Start the server on a free port of loopback. It replies what the script says, one reply to each request.

    Raises the first error of the script at the end, because clients repeat a failed request and get the next reply.
    """

    class Handler(_Handler):
        server_state: WireServer

    http_server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http_server.daemon_threads = True
    Handler.server_state = WireServer(f"http://127.0.0.1:{http_server.server_address[1]}", script)
    thread = threading.Thread(target=http_server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Handler.server_state
    finally:
        http_server.shutdown()
        http_server.server_close()
    for error in Handler.server_state.script_errors:
        raise error


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: WireServer

    def do_GET(self) -> None:
        self.server_state.get_headers.append({k.lower(): v for k, v in self.headers.items()})
        self._send_error(Reply(status=404, message="There is nothing."))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server_state.receive(self.path, headers, body)
        try:
            if reply.status != 200 or reply.page:
                self._send_error(reply)
            elif not reply.is_stream:
                self._send_json(200, formats.whole_body(self.path.partition("?")[0], reply), {})
            else:
                self._send_stream(reply, str(body.get("model", "gemini-test")))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send_error(self, reply: Reply) -> None:
        if reply.page:
            self._send(reply.status, reply.page, "text/html", reply.headers)
            return
        body = formats.error_body(self.path.partition("?")[0], reply)
        self._send_json(reply.status, body, reply.headers)

    def _send_json(self, status: int, body: Any, headers: dict[str, str]) -> None:
        self._send(status, json.dumps(body), "application/json", headers)

    def _send(self, status: int, text: str, media_type: str, headers: dict[str, str]) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send_stream(self, reply: Reply, model: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, part in enumerate(_format_of(self.path)(reply, model)):
            self._send_chunk(part.encode())
            if number == SILENT_AFTER:
                time.sleep(reply.silence)
        if reply.end == End.BROKEN:
            self.close_connection = (
                True  # without the last chunk, so the client sees a broken stream
            )
            return
        self._send_chunk(b"")

    def _send_chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


def _format_of(path: str) -> Any:
    if path.endswith("/messages") or "/messages?" in path:
        return formats.anthropic
    return formats.google if ":streamGenerateContent" in path else formats.openai
