"""Run the requested measurements and print one table."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module

from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.scratch import Installation, temporary_installation

Measurement = Callable[[Installation, int], Iterator[Figure]]
AGENT_PARTS = {  # of the measurement "agent"
    "agent-streams": "streams",
    "agent-turns": "turns",
    "agent-memory": "memory",
    "agent-token": "first_token",
}


def run(names: Sequence[str], *, rounds: int, print_line: Callable[[str], object]) -> bool:
    """Run the measurements, and print each figure and a table. Returns False if a figure missed its target."""
    print_line(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    figures = []
    parts = [part for name in names for part in (AGENT_PARTS if name == "agent" else [name])]
    for name in parts:
        print_line(f"\n{name}: measuring")
        with temporary_installation() as installation:
            for figure in _import_measurement(name)(installation, rounds):
                figures.append(figure)
                print_line(
                    f"  {figure.name}: {figure.value} (target {figure.target}) [{figure.all_values}]"
                )
    _print_table(figures)
    return all(figure.reached for figure in figures)


def _import_measurement(name: str) -> Measurement:
    """Import the measurement and return its function. The import is late, because some modules are large."""
    if name in AGENT_PARTS:
        part: Measurement = import_module(f"bench.agent.{AGENT_PARTS[name]}").measure
        return part
    match name:
        case "alerts":
            from bench import alerts

            return alerts.measure
        case "dashboard":
            from bench.dashboard import visits

            return visits.measure
        case "data":
            from bench import data

            return data.measure
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
        case "size":
            from bench import size

            return size.measure
        case "start":
            from bench import start

            return start.measure
        case "tables":
            from bench.data import tables

            return tables.measure
        case _:
            from bench import streams

            return streams.measure


def _print_table(figures: Sequence[Figure]) -> None:
    table = Table(title="Measurements of Drover")
    for column in ("measured", "compared with", "median", "target", ""):
        table.add_column(column)
    for figure in figures:
        table.add_row(
            figure.name,
            figure.compared_with,
            figure.value,
            figure.target,
            "reached" if figure.reached else "missed",
        )
    Console().print(table)
