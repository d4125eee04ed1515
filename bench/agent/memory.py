"""The memory that the agent adds: to a worker that runs turns, and to web."""

from __future__ import annotations

from collections.abc import Iterator

from bench.agent.children import output_of
from bench.figures import Figure, figure_with_upper_bound
from bench.memory import idle_megabytes
from bench.scratch import Installation


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Yield what the imports add, each in a new process, and the idle memory of `make up`."""
    bounds = {"worker": 100, "provider": 100, "web": 40}
    names = {
        "worker": "the agent's imports, in a worker that runs turns in guided mode",
        "provider": "the agent's imports, in a worker that runs turns with OpenAI's package",
        "web": "Channels and MCP, in a web process after its first MCP request",
    }
    for process, bound in bounds.items():
        values = [
            output_of(installation.environment, "bench.agent.imports", process)["megabytes"]
            for _ in range(rounds)
        ]
        yield figure_with_upper_bound(
            f"memory of {names[process]}",
            "RSS before the imports",
            values,
            at_most=bound,
            unit="MB",
        )
    yield figure_with_upper_bound(
        "idle memory of everything `make up` starts, with the agent",
        "PSS summed",
        idle_megabytes(rounds),
        at_most=500,
        unit="MB",
    )
