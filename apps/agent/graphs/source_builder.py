"""The source builder: it makes a custom source from documentation, and repairs its code a few times at most."""

from __future__ import annotations

from functools import cache
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from apps.agent.graphs import assembly
from apps.agent.graphs.assembly import CompiledGraph
from apps.agent.models import Graph


def build(saver: BaseCheckpointSaver[Any]) -> CompiledGraph:
    """Return the graph with this saver. The graph is compiled once in a process."""
    return compiled().copy({"checkpointer": saver})


@cache
def compiled() -> CompiledGraph:
    """Return the graph without a saver."""
    return assembly.assemble(Graph.SOURCE_BUILDER)
