"""A small HTTP/1.1 load generator. Its keep-alive clients share one event loop, so that it uses little CPU."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.figures import percentile


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The result of a load test: responses per second, latencies in milliseconds, and one response body."""

    per_second: float
    p50: float
    p95: float
    body: bytes


def measure_load(
    url: str, *, headers: Mapping[str, str], clients: int, seconds: float
) -> LoadResult:
    """Send GET requests for `url` from `clients` connections for `seconds`.

    Raises RuntimeError for a status other than 200.
    """
    return asyncio.run(_measure_load(url, dict(headers), clients, seconds))


async def _measure_load(
    url: str, headers: dict[str, str], clients: int, seconds: float
) -> LoadResult:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        *(f"{k}: {v}" for k, v in headers.items()),
    ]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    latencies: list[float] = []
    bodies: list[bytes] = []
    deadline = time.perf_counter() + seconds

    async def run_client() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while (started := time.perf_counter()) < deadline:
            writer.write(request)
            body = await _read_body(reader)
            latencies.append((time.perf_counter() - started) * 1000)
            if not bodies:
                bodies.append(body)
        writer.close()

    test_started = time.perf_counter()
    await asyncio.gather(*(run_client() for _ in range(clients)))
    elapsed = time.perf_counter() - test_started
    return LoadResult(
        per_second=len(latencies) / elapsed,
        p50=percentile(latencies, 0.5),
        p95=percentile(latencies, 0.95),
        body=bodies[0],
    )


async def _read_body(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    status, _, fields = head.partition(b"\r\n")
    if b" 200 " not in status + b" ":
        raise RuntimeError(f"the server answered {status.decode()}")
    for line in fields.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return await reader.readexactly(int(value))
    raise RuntimeError("the server sent no Content-Length")
