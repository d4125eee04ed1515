"""A local web server with pages of documentation. It counts the requests for each page."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from evaluations.scene import Scene

CHUNK = b"This page never ends. " * 1000


@dataclass(frozen=True, slots=True)
class Page:
    """What is served for a path: a text, a redirect to `location`, or a text that never ends.

    "[[credential]]" in the text is replaced by the credential of the request.
    """

    text: str = ""
    content_type: str = "text/html"
    location: str = ""
    is_endless: bool = False
    status: int = 200


@dataclass
class Site:
    """A running server."""

    url: str
    requests: Counter[str] = field(default_factory=Counter)  # by path, with the query


def add_site(scene: Scene, pages: Mapping[str, Page]) -> Site:
    """Start a server for the time of the case. "[[site]]" is replaced by its URL."""
    site = scene.enter(_run_site(scene, pages))
    scene.ids["site"] = site.url
    return site


@contextmanager
def _run_site(scene: Scene, pages: Mapping[str, Page]) -> Iterator[Site]:
    site = Site("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.requests[self.path] += 1
            page = pages.get(self.path.partition("?")[0])
            if page is None:
                self.send_error(404)
            elif page.location:
                self.send_response(302)
                self.send_header("Location", scene.resolve(page.location))
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._send(page)

        def _send(self, page: Page) -> None:
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.end_headers()
            credential = self.headers.get("Authorization", "").rpartition(" ")[2]
            self.wfile.write(page.text.replace("[[credential]]", credential).encode())
            try:
                while page.is_endless:
                    self.wfile.write(CHUNK)
            except OSError:  # the reader has had enough
                self.close_connection = True

        def log_message(self, *arguments: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
