"""Start the real web server on loopback: as a process, or in a thread whose settings a test can change."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import uvicorn

from local import web

ROOT = Path(__file__).resolve().parent.parent


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def web_server(command: Sequence[str] = (), *, port: int = 0, **environment: str) -> Iterator[str]:
    """Start a web process and yield its URL. If `command` is given, it must listen on `port`."""
    port = port or find_free_port()
    process = subprocess.Popen(
        [*(command or web.command(port=port)), "--log-level", "warning"],
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(port)
        yield address
    finally:
        process.terminate()
        process.wait(15)


@contextmanager
def web_server_in_thread() -> Iterator[tuple[str, int]]:
    """Run the web server in a thread of this process, and yield its host and port."""
    from config.asgi import application

    # All servers of this process share the application, so the end of one of them must not close it.
    config = uvicorn.Config(
        application, port=0, lifespan="off", log_level="warning", proxy_headers=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        thread.join(30)


def _wait_until_ready(port: int) -> None:
    """Wait for an answer to a first request. `httpx.get` would load all certificates again for each try."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("GET", "/api/v1/runs")
                connection.getresponse()
        except (OSError, HTTPException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
