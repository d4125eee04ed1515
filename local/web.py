"""How the web process is started: by `make up`, in benches and in tests. The image's CMD says the same."""

from __future__ import annotations

import sys

# uvicorn would believe X-Forwarded-For of everybody on this machine. Drover reads that header itself, and only as
# many hops deep as DROVER_TRUSTED_PROXIES says.
OPTIONS = ("--no-proxy-headers", "--timeout-graceful-shutdown", "3", "--no-access-log")


def command(
    *, port: int, host: str = "127.0.0.1", application: str = "config.asgi:application"
) -> tuple[str, ...]:
    """The words that serve an ASGI application with uvicorn."""
    place = ("--host", host, "--port", str(port))
    return (sys.executable, "-m", "uvicorn", application, "--lifespan", "off", *place, *OPTIONS)
