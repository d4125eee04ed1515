"""Start the real web process on loopback, with the command of `make up` or another command."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

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
        _wait_until_ready(address)
        yield address
    finally:
        process.terminate()
        process.wait(15)


def _wait_until_ready(address: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{address}/api/v1/runs")
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
