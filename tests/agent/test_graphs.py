"""The steps of the graphs. After each step a checkpoint is stored."""

from __future__ import annotations

import pytest

from apps.agent.graphs import main, source_builder
from apps.agent.graphs.assembly import CompiledGraph


@pytest.mark.parametrize("graph", [main.compiled(), source_builder.compiled()])
def test_a_graph_has_no_steps_besides_the_model_and_the_tools(graph: CompiledGraph) -> None:
    assert set(graph.nodes) == {"__start__", "model", "tools"}
