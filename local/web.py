"""The command line of the web process, for `make up`, benchmarks and tests.

The image's CMD has the same options.
"""

from __future__ import annotations

import sys

# uvicorn would accept X-Forwarded-For from every local client. Drover reads that header itself, and accepts it only
# from DROVER_TRUSTED_PROXIES proxies.
# Clients of websockets send one short message. Compression would need memory for each websocket.
WEBSOCKET_OPTIONS = ("--ws-max-size", "4096", "--ws-per-message-deflate", "false")
OPTIONS = (
    *("--no-proxy-headers", "--timeout-graceful-shutdown", "3", "--no-access-log"),
    *WEBSOCKET_OPTIONS,
)


def command(
    *, port: int, host: str = "127.0.0.1", application: str = "config.asgi:application"
) -> tuple[str, ...]:
    """Return the command that serves an ASGI application with uvicorn."""
    address = ("--host", host, "--port", str(port))
    return (sys.executable, "-m", "uvicorn", application, *address, *OPTIONS)
