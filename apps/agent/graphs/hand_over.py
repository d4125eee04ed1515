"""Hand a turn over from one graph to the other: both work on the same thread of the conversation.

A tool with `hands_over_to` ends the graph that called it. The turn then goes on with the other graph.
"""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AnyMessage, ToolMessage

from apps.agent.models import Graph
from apps.agent.tools import registry


def next_graph(messages: Sequence[AnyMessage]) -> Graph | None:
    """Return the graph to which the newest tool answers hand the turn over, or None."""
    for message in reversed(messages):
        if not isinstance(message, ToolMessage):
            return None
        tool = registry.find(message.name or "")
        if tool is not None and tool.hands_over_to is not None and message.status == "success":
            return tool.hands_over_to
    return None
