"""A TCP proxy on loopback that can cut all its connections."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LINGER_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing the socket sends RST, as a firewall may


class Proxy:
    """Forward connections on `port` to the target. `cut_count` is the number of connections that were cut."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.cut_count = 0
        self._target = target
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept_connections, daemon=True).start()

    def cut_connections(self) -> None:
        """Cut all open connections."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for connection in pair:
                _reset(connection)
        self.cut_count += len(pairs)

    def close(self) -> None:
        self._listener.close()
        self.cut_connections()

    def _accept_connections(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            _reset(client)
            return
        pair = (client, server)
        with self._lock:
            self._pairs.append(pair)
        for source, sink in (pair, pair[::-1]):
            threading.Thread(target=self._forward, args=(source, sink, pair), daemon=True).start()

    def _forward(
        self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        with suppress(OSError):  # the connection was cut, or the other thread closed it
            while data := source.recv(65536):
                sink.sendall(data)
        with self._lock, suppress(ValueError):
            self._pairs.remove(pair)
        for connection in pair:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()


@contextmanager
def run_proxy(port: int) -> Iterator[Proxy]:
    """Run a proxy that forwards to a port on loopback during the block."""
    proxy = Proxy(("127.0.0.1", port))
    try:
        yield proxy
    finally:
        proxy.close()
