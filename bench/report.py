"""Run the requested measurements and print one table."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.scratch import Scratch, scratch

Measurement = Callable[[Scratch, int], Iterator[Figure]]


def run(names: Sequence[str], *, rounds: int, say: Callable[[str], object]) -> bool:
    """Measure, print each figure and a table at the end. Returns False if a figure missed its target."""
    say(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    figures = []
    for name in names:
        say(f"\n{name}: measuring")
        with scratch() as place:
            for figure in _measurement(name)(place, rounds):
                figures.append(figure)
                say(f"  {figure.name}: {figure.value} (target {figure.bar}) [{figure.runs}]")
    _print(figures)
    return all(figure.reached for figure in figures)


def _measurement(name: str) -> Measurement:
    """Import a measurement only when requested, because the alternatives have large imports."""
    match name:
        case "engine":
            from bench import engine

            return engine.measure
        case "keys":
            from bench import keys

            return keys.measure
        case "list":
            from bench import pipelines_list

            return pipelines_list.measure
        case "memory":
            from bench import memory

            return memory.measure
        case "sandbox":
            from bench import sandbox

            return sandbox.measure
        case "start":
            from bench import start

            return start.measure
        case _:
            from bench import streams

            return streams.measure


def _print(figures: Sequence[Figure]) -> None:
    table = Table(title="Drover, measured")
    for column in ("what", "against", "median", "bar", ""):
        table.add_column(column)
    for figure in figures:
        table.add_row(
            figure.name,
            figure.against,
            figure.value,
            figure.bar,
            "reached" if figure.reached else "missed",
        )
    Console().print(table)
