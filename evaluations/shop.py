"""A local HTTP API with the streams that the cases copy. It serves the same records to every case."""

from __future__ import annotations

import json
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SOURCES = {
    "Flights database": ("flights", "airlines", "planes"),
    "Weather API": ("weather",),
    "Shop database": ("orders", "order_items", "planes"),
}
CURSOR_FIELDS = {"flights": "time_hour", "weather": "time_hour", "orders": "updated_at"}
NAMES = {"airlines": "carrier", "planes": "tailnum", "order_items": "product"}


def source_settings(streams: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings of a source of the kind `rest` with these streams."""
    return {"base_url": base_url(), "streams": [_stream_settings(name) for name in streams]}


def records(stream: str) -> list[dict[str, Any]]:
    """Return the records of a stream."""
    names = {field: f"{field} {{}}" for name, field in NAMES.items() if name == stream}
    times = {CURSOR_FIELDS[stream]: "2026-11-{:02}T00:00:00Z"} if stream in CURSOR_FIELDS else {}
    texts = {**names, **times}
    return [
        {"id": number, **{name: text.format(number) for name, text in texts.items()}}
        for number in range(1, 13)
    ]


@cache
def base_url() -> str:
    """Start the API in this process at the first call, and return its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def _stream_settings(name: str) -> dict[str, Any]:
    settings: dict[str, Any] = {"name": name, "path": name, "primary_key": ["id"]}
    if name in CURSOR_FIELDS:
        settings["cursor_field"] = CURSOR_FIELDS[name]
    return settings


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = json.dumps(records(self.path.partition("?")[0].strip("/"))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""
