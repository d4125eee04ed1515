"""A server that speaks just enough of PostgreSQL's protocol to refuse each connection with a message."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from evaluations.scene import Scene

ENCRYPTION_REQUESTS = (80877103, 80877104)  # codes of a client that asks for TLS or GSSAPI


@contextmanager
def _run_server(message: str) -> Iterator[int]:
    fields = b"SFATAL\0C28000\0M" + message.encode() + b"\0\0"

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while len(header := self.request.recv(8)) == 8:
                length, code = struct.unpack("!II", header)
                if code not in ENCRYPTION_REQUESTS:
                    self.request.recv(length - 8)
                    self.request.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)
                    return
                self.request.sendall(b"N")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def add_refusing_server(scene: Scene, message: str) -> int:
    """Start the server for the time of the case, and return its port."""
    return scene.enter(_run_server(message))
