"""A web process and a worker of a temporary installation, and a browser that is open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bench.agent.children import HIGH_LIMITS, output_of
from bench.agent.talking import Browser, browser
from bench.scratch import Installation
from bench.start import running_drover

TURNS = 20  # measured in each round
WARM_UP = 3


@contextmanager
def running_agent(installation: Installation, environment: Mapping[str, str]) -> Iterator[Browser]:
    """Run the processes with these additional variables, and yield a browser after some turns."""
    environment = {**installation.environment, **HIGH_LIMITS, **environment}
    created = output_of(environment, "bench.agent.create_conversations", "1")
    with (
        running_drover(environment) as address,
        browser(address, created["token"], created["conversations"][0]) as opened,
    ):
        for _ in range(WARM_UP):
            opened.arrival("done", opened.send("hello"))
        yield opened
