"""Measure streams of conversations on one web process: many slow ones, and fewer fast ones."""

from __future__ import annotations

from collections.abc import Iterator

from bench.agent.children import output_of
from bench.figures import Figure
from bench.scratch import Installation
from bench.streams import StreamLoad, measure_load, streaming_server

LOADS = ((1000, 2), (200, 10))  # conversations, and events per second of each


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Yield the 99th percentile of the delay from publishing to arrival, and the number of lost or duplicate events.

    A writer commits the tokens of many turns together every 50 ms.
    """
    count = max(streams for streams, _ in LOADS)
    created = output_of(installation.environment, "bench.agent.create_conversations", str(count))
    path = "/api/v1/agent/conversations/{}/events"
    with streaming_server(installation) as address:
        for streams, rate in LOADS:
            ids = sorted(created["conversations"])[:streams]
            load = StreamLoad(
                "conversations", "conversations", path, created["token"], ids, rate=rate
            )
            yield from measure_load(installation, address, load, rounds)
