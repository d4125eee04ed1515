"""What a turn costs besides the model: a turn of model -> tool -> model, with a model that takes no time."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.agent.children import output_of
from bench.agent.installation import TURNS, running_agent
from bench.figures import (
    Figure,
    figure_of_ratio,
    figure_with_upper_bound,
    figure_without_target,
    percentile,
)
from bench.scratch import Installation

FIRST_TURNS = 30


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Yield the medians of the first and the 40th turn of a thread, and from the message to `done` in the browser."""
    first, later, processor, graph = [], [], [], []
    for _ in range(rounds):
        times = output_of(installation.environment, "bench.agent.run_turns", str(FIRST_TURNS))
        first.append(median(times["first"]))
        later.append(median(times["later"]))
        processor.append(median(times["processor"]))
        graph.append(median(times["graph"]))
    comparison = (
        f"LangGraph alone with its PostgreSQL saver: {median(graph):.0f} ms; "
        f"processor time of the worker: {median(processor):.0f} ms"
    )
    yield figure_with_upper_bound(
        "turn overhead (model -> tool -> model), first turn, p50",
        comparison,
        first,
        at_most=25,
        unit="ms",
    )
    yield figure_of_ratio(
        "turn overhead, 40th turn of a thread",
        "first turn of a thread",
        later,
        first,
        at_most=1.5,
        unit="ms",
    )
    yield from _measure_answers(installation, rounds)


def _measure_answers(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Measure from the message to its end in the browser: guided mode calls one tool, and then answers."""
    answers = []
    with running_agent(installation, {"DROVER_MODEL": ""}) as browser:
        for _ in range(rounds):
            durations = []
            for _ in range(TURNS):
                started = browser.send("Which pipelines are there?")
                durations.append((browser.arrival("done", started)[0] - started) * 1000)
            answers.append(percentile(durations, 0.5))
    yield figure_without_target(
        "message -> `done` in the browser, p50",
        "guided mode: one tool call, then the answer",
        answers,
        unit="ms",
    )
