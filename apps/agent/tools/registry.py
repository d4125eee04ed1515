"""Find all tools: each folder beside this file is one tool."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from apps.agent import tools
from apps.agent.models import Graph
from apps.agent.tools.base import Tool


@cache
def all_tools() -> tuple[Tool[Any], ...]:
    """Return all tools, sorted by name."""
    names = sorted(found.name for found in pkgutil.iter_modules(tools.__path__) if found.ispkg)
    return tuple(importlib.import_module(f"apps.agent.tools.{name}.tool").TOOL for name in names)


@cache
def tools_of(graph: Graph) -> tuple[Tool[Any], ...]:
    """Return the tools of one graph, sorted by name."""
    return tuple(tool for tool in all_tools() if graph in tool.graphs)


def find(name: str) -> Tool[Any] | None:
    return next((tool for tool in all_tools() if tool.name == name), None)
