"""A language model on loopback that speaks the format of OpenAI, and notes when it has sent its first token."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson

THINKING = 0.2  # seconds until the first token
WORDS = 10
BETWEEN_WORDS = 0.02  # seconds


@dataclass
class ModelServer:
    """The times of each request, in seconds since the epoch: when it arrived, and when the first token was sent."""

    url: str = ""
    requests: list[tuple[float, float]] = field(default_factory=list)


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """Run the server on a free port."""
    state = ModelServer()

    class Handler(_Handler):
        server_state = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_state: ModelServer

    def do_POST(self) -> None:
        received = time.time()
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        time.sleep(THINKING)
        self.server_state.requests.append((received, time.time()))
        for number in range(WORDS):
            self._send_chunk({"role": "assistant", "content": f"word{number} "})
            time.sleep(BETWEEN_WORDS)
        self._send_chunk({}, finish_reason="stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def _send_chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        chunk = {
            "id": "answer",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "bench",
            "choices": [choice],
        }
        self.wfile.write(b"data: " + orjson.dumps(chunk) + b"\n\n")
        self.wfile.flush()
